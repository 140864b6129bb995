<#
.SYNOPSIS
Makes worker VMs, each with a differencing disk on the template, and starts them.

.DESCRIPTION
Run twice it does the rest of what is missing. What does not fit in the host's memory or disk is refused before anything
is made, with the arithmetic. A VM that fails in the middle is removed whole; those made before it stay.

.PARAMETER Count
How many there are to be in the end: tzar-01, tzar-02, and so on, those that are there among them.

.PARAMETER Prefix
What their names begin with.

.PARAMETER Name
Names of one's own, instead of -Count.

.PARAMETER Template
The disk that they are clones of. It must be read-only: a write to it breaks them all.

.PARAMETER Folder
Where they lie, each in a folder of its own below that of the fleet.

.PARAMETER SwitchName
The switch that they are connected to; Initialize-TzarHost.ps1 makes one.

.PARAMETER MemoryMB
The memory of each; with -DynamicMemory what it starts with.

.PARAMETER DynamicMemory
Lets Hyper-V move memory between VMs, from -MinimumMemoryMB (512) to -MaximumMemoryMB (-MemoryMB).

.PARAMETER MinimumMemoryMB
The least that a VM is left with.

.PARAMETER MaximumMemoryMB
The most that a VM is given.

.PARAMETER Processors
How many virtual processors each has.

.PARAMETER Generation
2, or 1 for a template that boots by BIOS.

.PARAMETER SecureBoot
Off for a template that is not signed. Generation 1 has none.

.PARAMETER SecureBootTemplate
MicrosoftWindows, or MicrosoftUEFICertificateAuthority for Linux.

.PARAMETER VideoWidth
The screen, which games see. Its size is fixed.

.PARAMETER VideoHeight
The screen, which games see. Its size is fixed.

.PARAMETER GpuPartition
Gives each a part of the host's GPU, without which WebGL and WebGPU games are unplayable.

.PARAMETER AutomaticStartAction
What Hyper-V does with them when the host boots. Nothing, since the supervisor decides.

.PARAMETER ReserveMemoryMB
Memory that is left to the host.

.PARAMETER ReserveDiskMB
Disk that is left free.

.PARAMETER DiskMB
What the disk of one VM may grow to.

.PARAMETER NoStart
Makes them and leaves them off.

.PARAMETER Fleet
The fleet's id, 32 hex digits: `tzar status` shows that of a supervisor. The default is for VMs that people make and
keep by hand, without one.

.EXAMPLE
.\New-TzarWorkerVM.ps1 -Count 8 -Template C:\tzar\template.vhdx

.EXAMPLE
.\New-TzarWorkerVM.ps1 -Count 16 -Template C:\tzar\template.vhdx -MemoryMB 8192 -WhatIf
#>
[CmdletBinding(SupportsShouldProcess, DefaultParameterSetName = 'Count')]
param(
    [Parameter(Mandatory, ParameterSetName = 'Name')] [ValidateNotNullOrEmpty()] [string[]] $Name,
    [Parameter(Mandatory, ParameterSetName = 'Count')] [ValidateRange(1, 999)] [int] $Count,
    [Parameter(ParameterSetName = 'Count')] [ValidateNotNullOrEmpty()] [string] $Prefix = 'tzar',
    [Parameter(Mandatory)] [string] $Template,
    [string] $Folder = 'C:\tzar\vms',
    [string] $SwitchName = 'tzar',
    [ValidateScript({ $_ -ge 32 -and $_ % 2 -eq 0 })] [int] $MemoryMB = 4096,
    [switch] $DynamicMemory,
    [ValidateScript({ $_ -ge 32 -and $_ % 2 -eq 0 })] [int] $MinimumMemoryMB,
    [ValidateScript({ $_ -ge 32 -and $_ % 2 -eq 0 })] [int] $MaximumMemoryMB,
    [ValidateRange(1, 240)] [int] $Processors = 2,
    [ValidateSet(1, 2)] [int] $Generation = 2,
    [ValidateSet('On', 'Off')] [string] $SecureBoot = 'On',
    [string] $SecureBootTemplate = 'MicrosoftWindows',
    [ValidateRange(640, 7680)] [int] $VideoWidth = 1280,
    [ValidateRange(480, 4320)] [int] $VideoHeight = 720,
    [switch] $GpuPartition,
    [ValidateSet('Nothing', 'StartIfRunning', 'Start')] [string] $AutomaticStartAction = 'Nothing',
    [ValidateRange(0, 16777216)] [int] $ReserveMemoryMB = 2048,
    [ValidateRange(0, 1073741824)] [int] $ReserveDiskMB = 10240,
    [ValidateRange(0, 67108864)] [int] $DiskMB = 8192,
    [switch] $NoStart,
    [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet = '00000000000000000000000000000000'
)
$ErrorActionPreference = 'Stop'
foreach ($file in Get-ChildItem -LiteralPath "$PSScriptRoot\functions" -Filter *.ps1) { . $file.FullName }
$given = @{} + $PSBoundParameters
$given.Fleet = $Fleet
$given.Folder = $Folder
$given.SwitchName = $SwitchName
New-TzarWorkerVM @given
