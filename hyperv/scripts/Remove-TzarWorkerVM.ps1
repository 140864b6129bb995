<#
.SYNOPSIS
Removes worker VMs with their checkpoints, disks and folders.

.PARAMETER Name
The VMs' names. What Get-TzarWorkerVM.ps1 puts out can be piped in.

.PARAMETER Fleet
The fleet's id, 32 hex digits: `tzar status` shows that of a supervisor. The default is for VMs that people make and
keep by hand, without one.

.PARAMETER Folder
Where the fleet's VMs lie. What an earlier try left there of a VM that is gone is removed as well.

.PARAMETER Force
Turns VMs off that are not.

.EXAMPLE
.\Remove-TzarWorkerVM.ps1 tzar-01 -Force
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory, Position = 0, ValueFromPipelineByPropertyName)] [string[]] $Name,
    [string] $Folder = 'C:\tzar\vms',
    [switch] $Force,
    [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet = '00000000000000000000000000000000'
)
begin {
    $ErrorActionPreference = 'Stop'
    foreach ($file in Get-ChildItem -LiteralPath "$PSScriptRoot\functions" -Filter *.ps1) { . $file.FullName }
    $given = @{} + $PSBoundParameters
    $given.Fleet = $Fleet
    $given.Folder = $Folder
}
process {
    foreach ($one in $Name) {
        $given.Name = $one
        Remove-TzarWorkerVM @given
    }
}
