<#
.SYNOPSIS
Boots worker VMs that are off. One that runs is left alone.

.PARAMETER Name
The VMs' names. What Get-TzarWorkerVM.ps1 puts out can be piped in.

.PARAMETER Fleet
The fleet's id, 32 hex digits: `tzar status` shows that of a supervisor. The default is for VMs that people make and
keep by hand, without one.

.PARAMETER Incarnation
The number of the new boot. Left out: one more than the last. A running supervisor gives its own: let it.

.EXAMPLE
.\Start-TzarWorkerVM.ps1 tzar-01, tzar-02
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory, Position = 0, ValueFromPipelineByPropertyName)] [string[]] $Name,
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
        Start-TzarWorkerVM @given
    }
}
