<#
.SYNOPSIS
The worker VMs on this host: name, id, state, heartbeat, memory, incarnation, checkpoints, disk.

.PARAMETER Name
One of them alone.

.PARAMETER Fleet
The fleet's id, 32 hex digits: `tzar status` shows that of a supervisor. The default is for VMs that people make and
keep by hand, without one.

.EXAMPLE
.\Get-TzarWorkerVM.ps1 | Format-Table Name, State, Heartbeat, Incarnation
#>
[CmdletBinding()]
param(
    [Parameter(Position = 0)] [string] $Name,
    [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet = '00000000000000000000000000000000'
)
$ErrorActionPreference = 'Stop'
foreach ($file in Get-ChildItem -LiteralPath "$PSScriptRoot\functions" -Filter *.ps1) { . $file.FullName }
$given = @{} + $PSBoundParameters
$given.Fleet = $Fleet
Get-TzarWorkerVM @given
