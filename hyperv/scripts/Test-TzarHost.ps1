<#
.SYNOPSIS
Looks whether this host can carry a fleet: what was found, what was wanted, and the cure. It changes nothing.

.DESCRIPTION
Ok is empty where a check could not be made; Found says why.

.PARAMETER SwitchName
The switch that VMs are to be connected to. Left out: the network is not looked at.

.PARAMETER HostAddress
The host's address on it.

.PARAMETER PrefixLength
How much of the address names the network.

.PARAMETER SupervisorIsElsewhere
The supervisor runs on another machine: then guests need NAT to reach it, or a switch that is on its network.

.PARAMETER Port
The supervisor's port, which guests are to be let in on.

.PARAMETER BlobPort
Its port for genomes, if it has one of its own.

.PARAMETER Folder
Where VMs are to lie. Left out: the disk is not looked at.

.PARAMETER Template
The disk that they are to be clones of.

.PARAMETER Generation
Of the VMs.

.PARAMETER Count
How many VMs there are to be in the end.

.PARAMETER MemoryMB
The memory of each.

.PARAMETER DiskMB
What the disk of one VM may grow to.

.PARAMETER ReserveMemoryMB
Memory that is left to the host.

.PARAMETER ReserveDiskMB
Disk that is left free.

.PARAMETER GpuPartition
They are to have a part of the GPU.

.PARAMETER Time
Seconds since 1970 at the supervisor, to compare the clocks.

.PARAMETER Fleet
The fleet's id, 32 hex digits: `tzar status` shows that of a supervisor. The default is for VMs that people make and
keep by hand, without one.

.EXAMPLE
.\Test-TzarHost.ps1 -SwitchName tzar -HostAddress 192.168.77.1 -Port 5555 -Folder C:\tzar\vms -Count 8 | Format-List
#>
[CmdletBinding()]
param(
    [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet = '00000000000000000000000000000000',
    [string] $SwitchName,
    [string] $HostAddress,
    [ValidateRange(8, 30)] [int] $PrefixLength = 24,
    [switch] $SupervisorIsElsewhere,
    [ValidateRange(0, 65535)] [int] $Port = 0,
    [ValidateRange(0, 65535)] [int] $BlobPort = 0,
    [string] $Folder,
    [string] $Template,
    [ValidateSet(1, 2)] [int] $Generation = 2,
    [ValidateRange(1, 1000)] [int] $Count = 1,
    [ValidateRange(32, 12582912)] [int] $MemoryMB = 4096,
    [ValidateRange(0, 67108864)] [int] $DiskMB = 8192,
    [ValidateRange(0, 16777216)] [int] $ReserveMemoryMB = 2048,
    [ValidateRange(0, 1073741824)] [int] $ReserveDiskMB = 10240,
    [switch] $GpuPartition,
    [double] $Time
)
$ErrorActionPreference = 'Stop'
foreach ($file in Get-ChildItem -LiteralPath "$PSScriptRoot\functions" -Filter *.ps1) { . $file.FullName }
Test-TzarHost @PSBoundParameters
