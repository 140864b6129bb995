# What the functions have in common: errors with a reason that programs can read.

function New-TzarError {
    <#
    .SYNOPSIS
    An error record of ours, to be thrown: its id is the reason, for programs; its message is for people.
    #>
    param(
        [Parameter(Mandatory)] [ValidatePattern('^Tzar')] [string] $Id,
        [Parameter(Mandatory)] [string] $Message,
        [System.Management.Automation.ErrorCategory] $Category = 'InvalidOperation',
        [object] $Target,
        [System.Exception] $Cause
    )
    $exception = New-Object -TypeName System.InvalidOperationException -ArgumentList $Message, $Cause
    New-Object -TypeName System.Management.Automation.ErrorRecord -ArgumentList $exception, $Id, $Category, $Target
}

function Test-TzarHResult {
    <#
    .SYNOPSIS
    Whether an error record speaks of one of these HRESULTs (8 hex digits each).

    .DESCRIPTION
    Hyper-V writes the number into its message in every language, and seldom into the exception.
    #>
    param([Parameter(Mandatory)] [System.Management.Automation.ErrorRecord] $Record, [Parameter(Mandatory)] [string[]] $Code)
    $own = '{0:X8}' -f $Record.Exception.HResult
    foreach ($one in $Code) {
        if ($own -eq $one -or $Record.Exception.Message -match "0x$one") { return $true }
    }
    $false
}
