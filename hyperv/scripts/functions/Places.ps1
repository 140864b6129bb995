# Where a fleet's files lie on the host: <Folder>\<fleet>\<place of the VM>, and nowhere else.

function Assert-TzarPath {
    <#
    .SYNOPSIS
    Throws TzarBadPath unless this is a full path without wildcards and without steps upwards.

    .DESCRIPTION
    Several cmdlets of Hyper-V read brackets in a path as a wildcard, and have no -LiteralPath.
    #>
    param([Parameter(Mandatory)] [string] $Path, [Parameter(Mandatory)] [string] $What)
    if ($Path -notmatch '^([A-Za-z]:|\\\\[^\\/]+\\[^\\/]+)\\' -or $Path -match '[\[\]*?"<>|/`]' -or $Path -match '(^|\\)\.{1,2}(\\|$)') {
        throw (New-TzarError -Id TzarBadPath -Category InvalidArgument -Target $Path -Message (
            "$What '$Path' cannot be used: it must be a full path such as D:\tzar, without wildcards, quotes and steps upwards. Choose another."))
    }
}

function Get-TzarPlace {
    <#
    .SYNOPSIS
    The name of a VM's folder and disk: the VM's own name when it is plain, else what is plain of it and a hash.

    .DESCRIPTION
    Two names never share a place: a plain name holds no underscore and no capital, and every other has the hash.
    #>
    param([Parameter(Mandatory)] [string] $Name)
    if ($Name -cmatch '^[a-z0-9][a-z0-9-]{0,39}$' -and $Name -notmatch '^(con|prn|aux|nul|com[0-9]|lpt[0-9])$') { return $Name }
    $plain = ($Name -creplace '[^A-Za-z0-9-]+', '-').Trim('-').ToLowerInvariant()
    if ($plain.Length -gt 24) { $plain = $plain.Substring(0, 24) }
    $hash = [System.Security.Cryptography.SHA256]::Create()
    try { $digest = $hash.ComputeHash([System.Text.Encoding]::UTF8.GetBytes($Name)) } finally { $hash.Dispose() }
    $plain + '_' + (($digest[0..7] | ForEach-Object { $_.ToString('x2') }) -join '')
}

function Get-TzarFleetFolder {
    <#
    .SYNOPSIS
    The fleet's folder in this folder.
    #>
    param([Parameter(Mandatory)] [string] $Folder, [Parameter(Mandatory)] [string] $Fleet)
    $Folder.TrimEnd('\') + '\' + $Fleet
}

function Test-TzarFleetFolder {
    <#
    .SYNOPSIS
    Whether this is the folder of one VM of this fleet: its parent folder has the fleet's id for its name.
    #>
    param([string] $Path, [Parameter(Mandatory)] [string] $Fleet)
    $Path.TrimEnd('\') -match "^.+\\$Fleet\\[^\\]+$"
}

function Remove-TzarFolder {
    <#
    .SYNOPSIS
    Removes the folder of one VM with all that lies in it, and the fleet's folder when that was the last.

    .DESCRIPTION
    Hyper-V lets go of a removed VM's disks a little late, so a file in use is tried again for that many seconds.
    #>
    param([Parameter(Mandatory)] [string] $Path, [Parameter(Mandatory)] [string] $Fleet, [double] $TimeoutSeconds = 15)
    if (-not (Test-TzarFleetFolder -Path $Path -Fleet $Fleet)) {
        throw (New-TzarError -Id TzarForeignFolder -Category PermissionDenied -Target $Path -Message (
            "The folder '$Path' is not this fleet's; it was not touched. If people moved the VM, remove its files by hand."))
    }
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    while (Test-Path -LiteralPath $Path) {
        try { Remove-Item -LiteralPath $Path -Recurse -Force -Confirm:$false -ErrorAction Stop }
        catch {
            if ($watch.Elapsed.TotalSeconds -ge $TimeoutSeconds) { throw }
            Start-Sleep -Milliseconds 200
        }
    }
    Remove-TzarEmptyFolder -Path $Path.Substring(0, $Path.TrimEnd('\').LastIndexOf('\'))
}

function Remove-TzarEmptyFolder {
    <#
    .SYNOPSIS
    Removes a folder if nothing is in it.
    #>
    param([Parameter(Mandatory)] [string] $Path)
    if (-not [System.IO.Directory]::Exists($Path)) { return }
    # Not recursive: it refuses by itself when another lane has just put something there.
    try { [System.IO.Directory]::Delete($Path, $false) } catch [System.IO.IOException] { Write-Verbose "$Path is kept: $_" }
}
