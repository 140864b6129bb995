<#
.SYNOPSIS
Puts worker VMs back to a checkpoint and lets them run from there, under a new incarnation.

.PARAMETER Name
The VMs' names. What Get-TzarWorkerVM.ps1 puts out can be piped in.

.PARAMETER Fleet
The fleet's id, 32 hex digits: `tzar status` shows that of a supervisor. The default is for VMs that people make and
keep by hand, without one.

.PARAMETER CheckpointName
Its name. A VM that has none of this name is an error, and is left as it is.

.PARAMETER Incarnation
The number of the new boot. Left out: one more than the last. A running supervisor gives its own: let it.

.EXAMPLE
.\Restore-TzarWorkerVM.ps1 tzar-01 -CheckpointName parked
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory, Position = 0, ValueFromPipelineByPropertyName)] [string[]] $Name,
    [Parameter(Mandatory)] [string] $CheckpointName,
    [ValidateRange(0, 999999999)] [int] $Incarnation = 0,
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
        Restore-TzarWorkerVM @given
    }
}
