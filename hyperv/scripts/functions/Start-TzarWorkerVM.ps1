function Start-TzarWorkerVM {
    <#
    .SYNOPSIS
    Boots a worker VM under an incarnation. Returns as soon as it runs, not when its guest answers.

    .DESCRIPTION
    The template and the disks are looked at first. A VM that was saved is booted, not resumed: its memory is dropped,
    since in it an old incarnation lives on. Runs it already under this incarnation, nothing happens.
    Without -Incarnation: one more than the last, or none if it runs.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Name,
        [ValidateRange(0, 999999999)] [int] $Incarnation = 0
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    $found = Find-TzarVM -Fleet $Fleet -Name $Name
    $state = "$($found.VM.State)"
    if ($state -eq 'Running' -and ($Incarnation -eq 0 -or $Incarnation -eq $found.Mark.Incarnation)) {
        return Get-TzarSummary -Id $found.VM.Id
    }
    if ($state -notin 'Off', 'Saved') {
        throw (New-TzarError -Id TzarNotOff -Target $Name -Message "The VM '$Name' is $state (incarnation $($found.Mark.Incarnation)): it can be started only when it is off. Stop it before.")
    }
    Assert-TzarBootable -Found $found
    if (-not $PSCmdlet.ShouldProcess($Name, 'start the worker VM')) { return }
    if ($state -eq 'Saved') { Hyper-V\Remove-VMSavedState -VM $found.VM -ErrorAction Stop }
    $null = Set-TzarIncarnation -Found $found -Incarnation $Incarnation
    Hyper-V\Start-VM -VM $found.VM -ErrorAction Stop
    Get-TzarSummary -Id $found.VM.Id
}
