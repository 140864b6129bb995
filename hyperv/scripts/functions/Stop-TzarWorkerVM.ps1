function Stop-TzarWorkerVM {
    <#
    .SYNOPSIS
    Asks a worker VM to shut down and waits until it is seen to be off; with -TurnOff it is turned off at once.

    .DESCRIPTION
    Throws TzarStillRuns when it is not off after -TimeoutSeconds, and TzarNoHeartbeat when its guest cannot be asked.
    Off already: nothing happens. A VM that is saved counts as off only after -TurnOff, which drops its memory.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Name,
        [ValidateRange(0, 3600)] [double] $TimeoutSeconds = 60,
        [switch] $TurnOff
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    $found = Find-TzarVM -Fleet $Fleet -Name $Name
    $state = "$($found.VM.State)"
    if ($state -eq 'Off') { return Get-TzarSummary -Id $found.VM.Id }
    $what = if ($TurnOff) { 'turn the worker VM off' } else { 'ask the worker VM to shut down' }
    if (-not $PSCmdlet.ShouldProcess($Name, $what)) { return }
    if ($state -eq 'Saved') { Hyper-V\Remove-VMSavedState -VM $found.VM -ErrorAction Stop }
    elseif ($TurnOff) { Hyper-V\Stop-VM -VM $found.VM -TurnOff -Force -Confirm:$false -WarningAction SilentlyContinue -ErrorAction Stop }
    else { Request-TzarShutdown -Found $found }
    Wait-TzarOff -Found $found -TimeoutSeconds $TimeoutSeconds -Tried $what
    Get-TzarSummary -Id $found.VM.Id
}

function Request-TzarShutdown {
    <#
    .SYNOPSIS
    Asks a VM's guest to shut down and does not wait for it, as Stop-VM would, for five minutes.
    #>
    param([Parameter(Mandatory)] [object] $Found)
    $name = $Found.Mark.Name
    $id = "$($Found.VM.Id)".ToUpperInvariant()
    $component = @(Get-CimInstance -Namespace root/virtualization/v2 -ClassName Msvm_ShutdownComponent -Filter "SystemName='$id'" -ErrorAction Stop)
    $answer = 32768
    if ($component.Count) {
        $asked = Invoke-CimMethod -InputObject $component[0] -MethodName InitiateShutdown -Arguments @{ Force = $true; Reason = 'tzar-actors stops this VM' } -ErrorAction Stop
        $answer = [long] $asked.ReturnValue
    }
    # Nothing, what goes on as a job, and that it shuts down already.
    if ($answer -notin 0, 4096, 32782 -and "$((Get-TzarHostVM -Id $Found.VM.Id).State)" -ne 'Off') {
        throw (New-TzarError -Id TzarNoHeartbeat -Target $name -Message "The guest of '$name' cannot be asked to shut down (InitiateShutdown returned $answer): it does not answer. Turn it off: Stop-TzarWorkerVM -TurnOff.")
    }
}

function Wait-TzarOff {
    <#
    .SYNOPSIS
    Waits until a VM is seen to be off; throws TzarStillRuns when it is not in time.
    #>
    param([Parameter(Mandatory)] [object] $Found, [Parameter(Mandatory)] [double] $TimeoutSeconds, [Parameter(Mandatory)] [string] $Tried)
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    while ($true) {
        $state = "$((Get-TzarHostVM -Id $Found.VM.Id).State)"
        if ($state -eq 'Off') { return }
        $left = $TimeoutSeconds - $watch.Elapsed.TotalSeconds
        if ($left -le 0) {
            throw (New-TzarError -Id TzarStillRuns -Category OperationTimeout -Target $Found.Mark.Name -Message (
                "The VM '$($Found.Mark.Name)' is $state $TimeoutSeconds s after an attempt to $Tried. Turn it off: Stop-TzarWorkerVM -TurnOff."))
        }
        Start-Sleep -Milliseconds ([int] [math]::Max(1, [math]::Min(200, $left * 1000)))
    }
}
