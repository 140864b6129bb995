<#
.SYNOPSIS
Saves the state of worker VMs under a name, with the memory of those that run.

.PARAMETER Name
The VMs' names. What Get-TzarWorkerVM.ps1 puts out can be piped in.

.PARAMETER Fleet
The fleet's id, 32 hex digits: `tzar status` shows that of a supervisor. The default is for VMs that people make and
keep by hand, without one.

.PARAMETER CheckpointName
Its name. A VM that has one of this name keeps that, with a warning, and no other is made.

.EXAMPLE
.\Checkpoint-TzarWorkerVM.ps1 tzar-01 -CheckpointName parked
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory, Position = 0, ValueFromPipelineByPropertyName)] [string[]] $Name,
    [Parameter(Mandatory)] [ValidateLength(1, 100)] [string] $CheckpointName,
    [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet = '00000000000000000000000000000000'
)
begin {
    $ErrorActionPreference = 'Stop'
    foreach ($file in Get-ChildItem -LiteralPath "$PSScriptRoot\functions" -Filter *.ps1) { . $file.FullName }
    $given = @{} + $PSBoundParameters
    $given.Fleet = $Fleet
    $given.SkipExisting = $true
}
process {
    foreach ($one in $Name) {
        $given.Name = $one
        Checkpoint-TzarWorkerVM @given
    }
}
