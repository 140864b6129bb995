function Copy-TzarIdentity {
    <#
    .SYNOPSIS
    Delivers an identity to a running guest, without network, as the file -Target there.

    .DESCRIPTION
    On the host the document lies in a file that only Administrators and SYSTEM can read, for as long as the copy takes.
    Throws TzarNotRunning, and TzarNoHeartbeat while the guest does not take files yet: ask again a little later.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Name,
        [Parameter(Mandatory)] [string] $Document,
        [Parameter(Mandatory)] [ValidatePattern('^[A-Za-z]:\\.')] [string] $Target
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    $found = Find-TzarVM -Fleet $Fleet -Name $Name
    $vm = $found.VM
    Assert-TzarRunning -Found $found
    if (-not (Test-TzarFleetFolder -Path $vm.Path -Fleet $Fleet)) {
        throw (New-TzarError -Id TzarForeignFolder -Target $Name -Message "The VM '$Name' lies in '$($vm.Path)', where this fleet did not put it. Make it anew.")
    }
    if (-not $PSCmdlet.ShouldProcess($Name, "deliver an identity as '$Target'")) { return }
    $file = $vm.Path.TrimEnd('\') + '\identity-' + [guid]::NewGuid().ToString('N')
    try {
        Write-TzarSecret -Path $file -Text $Document
        # Copy-VMFile needs the full path of a file, and this one's holds no wildcard: see Assert-TzarPath.
        Hyper-V\Copy-VMFile -VM $vm -SourcePath $file -DestinationPath $Target -FileSource Host -CreateFullPath -Force -ErrorAction Stop
    }
    catch {
        if (-not (Test-TzarHResult -Record $_ -Code 80070015)) { throw }
        Enable-TzarGuestService -VM $vm
        throw (New-TzarError -Id TzarNoHeartbeat -Category DeviceError -Target $Name -Cause $_.Exception -Message "The guest of '$Name' does not take files yet: it still boots, or its guest services do not run.")
    }
    finally {
        if (Test-Path -LiteralPath $file) { Remove-Item -LiteralPath $file -Force -Confirm:$false -ErrorAction Stop }
    }
    Get-TzarSummary -Id $vm.Id
}

function Assert-TzarRunning {
    <#
    .SYNOPSIS
    Throws TzarNotRunning unless the VM runs.
    #>
    param([Parameter(Mandatory)] [object] $Found)
    if ("$($Found.VM.State)" -ne 'Running') {
        throw (New-TzarError -Id TzarNotRunning -Target $Found.Mark.Name -Message "The VM '$($Found.Mark.Name)' is $($Found.VM.State), not running. Start it before.")
    }
}

function Write-TzarSecret {
    <#
    .SYNOPSIS
    Writes a new file, in UTF-8, that nobody but SYSTEM, Administrators and its owner could ever open.
    #>
    param([Parameter(Mandatory)] [string] $Path, [Parameter(Mandatory)] [string] $Text)
    $bytes = [System.Text.Encoding]::UTF8.GetBytes($Text)
    try {
        $access = New-Object -TypeName System.Security.AccessControl.FileSecurity
        $access.SetSecurityDescriptorSddlForm('D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;OW)')
    }
    catch {
        # A file system without access lists: what its folder allows holds.
        if ($_.Exception.GetBaseException() -isnot [System.PlatformNotSupportedException]) { throw }
        [System.IO.File]::WriteAllBytes($Path, $bytes)
        return
    }
    $stream = [System.IO.File]::Create($Path, 4096, [System.IO.FileOptions]::None, $access)
    try { $stream.Write($bytes, 0, $bytes.Length) } finally { $stream.Dispose() }
}
