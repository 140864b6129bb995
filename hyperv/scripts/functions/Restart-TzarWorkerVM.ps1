function Restart-TzarWorkerVM {
    <#
    .SYNOPSIS
    Stops a worker VM as Stop-TzarWorkerVM does, if it is not off, and boots it under a new incarnation.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Name,
        [ValidateRange(0, 999999999)] [int] $Incarnation = 0,
        [ValidateRange(0, 3600)] [double] $TimeoutSeconds = 60,
        [switch] $TurnOff
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    $found = Find-TzarVM -Fleet $Fleet -Name $Name
    # Before it is stopped: what cannot boot again goes on as it is.
    if ($found.Mark.Parent) { Assert-TzarTemplate -Template $found.Mark.Parent }
    if (-not $PSCmdlet.ShouldProcess($Name, 'restart the worker VM')) { return }
    $null = Stop-TzarWorkerVM -Fleet $Fleet -Name $Name -TimeoutSeconds $TimeoutSeconds -TurnOff:$TurnOff
    Start-TzarWorkerVM -Fleet $Fleet -Name $Name -Incarnation $Incarnation
}
