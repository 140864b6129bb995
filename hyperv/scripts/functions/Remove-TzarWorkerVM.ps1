function Remove-TzarWorkerVM {
    <#
    .SYNOPSIS
    Removes a worker VM, which must be off, with its checkpoints, disks and folder. With -Force it is turned off before.

    .DESCRIPTION
    There is none: nothing happens, but what lies in its place in -Folder, left by an earlier try, is removed.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Name,
        [string] $Folder,
        [switch] $Force
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    $all = @(Get-TzarMarkedVM)
    $found = Select-TzarVM -Among $all -Fleet $Fleet -Name $Name
    if ($found) {
        $state = "$($found.VM.State)"
        if ($state -notin 'Off', 'Saved' -and -not $Force) {
            throw (New-TzarError -Id TzarNotOff -Target $Name -Message "The VM '$Name' is $state and was not removed. Stop it before, or use -Force.")
        }
        $place = $found.VM.Path.TrimEnd('\')
        if (-not (Test-TzarFleetFolder -Path $place -Fleet $Fleet)) {
            throw (New-TzarError -Id TzarForeignFolder -Category PermissionDenied -Target $Name -Message (
                "The VM '$Name' lies in '$place', where this fleet did not put it; it was not removed. Remove it by hand."))
        }
        if (-not $PSCmdlet.ShouldProcess($Name, "remove the worker VM with all in '$place'")) { return }
        if ($state -ne 'Off') { $null = Stop-TzarWorkerVM -Fleet $Fleet -Name $Name -TurnOff -TimeoutSeconds 30 }
        Hyper-V\Remove-VM -VM $found.VM -Force -ErrorAction Stop
        Remove-TzarFolder -Path $place -Fleet $Fleet
        return
    }
    if (-not $Folder) { return }
    Assert-TzarPath -Path $Folder -What 'The folder'
    $place = (Get-TzarFleetFolder -Folder $Folder -Fleet $Fleet) + '\' + (Get-TzarPlace -Name $Name)
    if ((Test-Path -LiteralPath $place) -and $PSCmdlet.ShouldProcess($place, 'remove what is left of the worker VM')) {
        Remove-TzarRemains -Fleet $Fleet -Folder $place -Among $all
    }
}
