# Files on the way to a guest: what is pushed lies for a while in the fleet's upload folder on the host.

function Assert-TzarUpload {
    <#
    .SYNOPSIS
    Throws TzarBadPath unless this is a file in <Folder>\<fleet>\_upload. No VM's place begins with an underscore.
    #>
    param([Parameter(Mandatory)] [string] $Path, [Parameter(Mandatory)] [string] $Folder, [Parameter(Mandatory)] [string] $Fleet)
    Assert-TzarPath -Path $Folder -What 'The folder'
    Assert-TzarPath -Path $Path -What 'The file'
    $upload = (Get-TzarFleetFolder -Folder $Folder -Fleet $Fleet) + '\_upload'
    $cut = $Path.LastIndexOf('\')
    if (-not (Test-TzarSameName $Path.Substring(0, $cut) $upload -IgnoreCase) -or $cut -eq $Path.Length - 1) {
        throw (New-TzarError -Id TzarBadPath -Category PermissionDenied -Target $Path -Message "'$Path' does not lie in '$upload'; it was not touched.")
    }
    $upload
}

function Write-TzarHostFile {
    <#
    .SYNOPSIS
    Writes bytes into a file of the fleet's upload folder, at an offset; offset 0 begins it anew. Puts out Path, Length.

    .DESCRIPTION
    The same piece written twice is the same file. Throws TzarBadOffset for a piece that would leave a gap.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Folder,
        [Parameter(Mandatory)] [string] $Path,
        [Parameter(Mandatory)] [ValidateRange(0, 1099511627776)] [long] $Offset,
        [Parameter(Mandatory)] [AllowEmptyString()] [string] $Base64
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    $upload = Assert-TzarUpload -Path $Path -Folder $Folder -Fleet $Fleet
    $bytes = [Convert]::FromBase64String($Base64)
    $has = if (Test-Path -LiteralPath $Path -PathType Leaf) { (Get-Item -LiteralPath $Path -Force).Length } else { 0 }
    if ($Offset -gt $has) {
        throw (New-TzarError -Id TzarBadOffset -Category InvalidArgument -Target $Path -Message "A piece for offset $Offset of '$Path' came, which has $has bytes. Begin it anew, at 0.")
    }
    if (-not $PSCmdlet.ShouldProcess($Path, "write $($bytes.Length) bytes at $Offset")) { return }
    $null = New-Item -ItemType Directory -Path $upload -Force -ErrorAction Stop
    $stream = [System.IO.File]::Open($Path, 'OpenOrCreate', 'Write')
    try {
        if ($Offset -eq 0) { $stream.SetLength(0) }
        $null = $stream.Seek($Offset, 'Begin')
        $stream.Write($bytes, 0, $bytes.Length)
    }
    finally { $stream.Dispose() }
    $length = $Offset + $bytes.Length
    if ($Offset -gt 0 -and $has -gt $length) { $length = $has }
    [pscustomobject]@{ Path = $Path; Length = $length }
}

function Remove-TzarHostFile {
    <#
    .SYNOPSIS
    Removes a file of the fleet's upload folder, and the folder when that was the last. There is none: nothing happens.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Folder,
        [Parameter(Mandatory)] [string] $Path
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    $upload = Assert-TzarUpload -Path $Path -Folder $Folder -Fleet $Fleet
    if (-not $PSCmdlet.ShouldProcess($Path, 'remove')) { return }
    if (Test-Path -LiteralPath $Path) { Remove-Item -LiteralPath $Path -Force -ErrorAction Stop }
    Remove-TzarEmptyFolder -Path $upload
    Remove-TzarEmptyFolder -Path $upload.Substring(0, $upload.LastIndexOf('\'))
}

function Clear-TzarUpload {
    <#
    .SYNOPSIS
    Removes what pushes that were ended in the middle left in the fleet's upload folder. Puts out Path, Length of each.

    .DESCRIPTION
    Only files that nobody has written to for -OlderThanSeconds: a push that goes on writes, or is done sooner.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Folder,
        [ValidateRange(1, 31536000)] [double] $OlderThanSeconds = 600
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    Assert-TzarPath -Path $Folder -What 'The folder'
    $fleetFolder = Get-TzarFleetFolder -Folder $Folder -Fleet $Fleet
    $upload = "$fleetFolder\_upload"
    if (-not (Test-Path -LiteralPath $upload -PathType Container)) { return }
    $before = [datetime]::UtcNow.AddSeconds(-$OlderThanSeconds)
    foreach ($file in @(Get-ChildItem -LiteralPath $upload -File -Force -ErrorAction Stop | Where-Object { $_.LastWriteTimeUtc -lt $before })) {
        if (-not $PSCmdlet.ShouldProcess($file.FullName, 'remove')) { continue }
        Remove-Item -LiteralPath $file.FullName -Force -ErrorAction Stop
        [pscustomobject]@{ Path = $file.FullName; Length = [long] $file.Length }
    }
    if ($WhatIfPreference) { return }
    Remove-TzarEmptyFolder -Path $upload
    Remove-TzarEmptyFolder -Path $fleetFolder
}
