<#
.SYNOPSIS
Shuts worker VMs down and waits until each is seen to be off.

.PARAMETER Name
The VMs' names. What Get-TzarWorkerVM.ps1 puts out can be piped in.

.PARAMETER Fleet
The fleet's id, 32 hex digits: `tzar status` shows that of a supervisor. The default is for VMs that people make and
keep by hand, without one.

.PARAMETER TimeoutSeconds
How long to wait for the guest to shut down.

.PARAMETER TurnOff
Turns it off at once, as if its plug were pulled.

.EXAMPLE
.\Get-TzarWorkerVM.ps1 | .\Stop-TzarWorkerVM.ps1 -TimeoutSeconds 120
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory, Position = 0, ValueFromPipelineByPropertyName)] [string[]] $Name,
    [ValidateRange(0, 3600)] [double] $TimeoutSeconds = 60,
    [switch] $TurnOff,
    [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet = '00000000000000000000000000000000'
)
begin {
    $ErrorActionPreference = 'Stop'
    foreach ($file in Get-ChildItem -LiteralPath "$PSScriptRoot\functions" -Filter *.ps1) { . $file.FullName }
    $given = @{} + $PSBoundParameters
    $given.Fleet = $Fleet
}
process {
    foreach ($one in $Name) {
        $given.Name = $one
        Stop-TzarWorkerVM @given
    }
}
