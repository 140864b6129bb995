function Restore-TzarWorkerVM {
    <#
    .SYNOPSIS
    Puts a worker VM back to a checkpoint and lets it run from there, under a new incarnation.

    .DESCRIPTION
    Throws TzarNoCheckpoint when there is none of that name, and does nothing then. A VM that runs is turned off.
    The template and the checkpoint's disks are looked at before. Without -Incarnation: one more than the last.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Name,
        [Parameter(Mandatory)] [string] $CheckpointName,
        [ValidateRange(0, 999999999)] [int] $Incarnation = 0
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    $found = Find-TzarVM -Fleet $Fleet -Name $Name
    $checkpoint = Select-TzarCheckpoint -Found $found -CheckpointName $CheckpointName
    if (-not $checkpoint) {
        $names = @(Hyper-V\Get-VMSnapshot -VM $found.VM -ErrorAction Stop | ForEach-Object { "'$($_.Name)'" }) -join ', '
        if (-not $names) { $names = 'none' }
        throw (New-TzarError -Id TzarNoCheckpoint -Category ObjectNotFound -Target $Name -Message (
            "The VM '$Name' has no checkpoint '$CheckpointName' (it has: $names); it was left as it is. Restore one that it has, or make it anew."))
    }
    if ($found.Mark.Parent) { Assert-TzarTemplate -Template $found.Mark.Parent }
    foreach ($drive in @($checkpoint.HardDrives)) {
        # While the VM runs its disks are open, and so in order; Test-VHD might not be let in.
        if ($drive.Path -and "$($found.VM.State)" -in 'Off', 'Saved') { Assert-TzarChain -Disk $drive.Path -Template $found.Mark.Parent -Name $Name }
    }
    if (-not $PSCmdlet.ShouldProcess($Name, "put the worker VM back to '$CheckpointName'")) { return }
    if ("$($found.VM.State)" -notin 'Off', 'Saved') { $null = Stop-TzarWorkerVM -Fleet $Fleet -Name $Name -TurnOff -TimeoutSeconds 30 }
    Hyper-V\Restore-VMSnapshot -VMSnapshot $checkpoint -Confirm:$false -ErrorAction Stop
    # The checkpoint's Notes are back, with the incarnation of its day.
    $null = Set-TzarIncarnation -Found $found -Incarnation $Incarnation
    Hyper-V\Start-VM -VM $found.VM -ErrorAction Stop
    Get-TzarSummary -Id $found.VM.Id
}
