<#
.SYNOPSIS
Prepares this host for worker VMs: an internal switch, the host's address on it, the firewall, the folder, and NAT if wanted.

.DESCRIPTION
Run as an administrator. Run twice, it does what is missing.

.PARAMETER SwitchName
The switch's name.

.PARAMETER HostAddress
The host's address on the switch. Agents dial it when the supervisor runs on this host.

.PARAMETER PrefixLength
How much of the address names the network.

.PARAMETER Nat
Lets guests out of the switch's network. It is needed when the supervisor runs on another machine.

.PARAMETER Port
The supervisor's port, which guests are let in on: fleet.port of its configuration.

.PARAMETER BlobPort
Its port for genomes, if it has one of its own.

.PARAMETER Folder
Where VMs are to lie.

.EXAMPLE
.\Initialize-TzarHost.ps1 -Port 5555

.EXAMPLE
.\Initialize-TzarHost.ps1 -Port 5555 -HostAddress 10.20.0.1 -Nat -WhatIf
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [string] $SwitchName = 'tzar',
    [string] $HostAddress = '192.168.77.1',
    [ValidateRange(8, 30)] [int] $PrefixLength = 24,
    [switch] $Nat,
    [Parameter(Mandatory)] [ValidateRange(1, 65535)] [int] $Port,
    [ValidateRange(0, 65535)] [int] $BlobPort = 0,
    [string] $Folder = 'C:\tzar\vms'
)
$ErrorActionPreference = 'Stop'
foreach ($file in Get-ChildItem -LiteralPath "$PSScriptRoot\functions" -Filter *.ps1) { . $file.FullName }
$given = @{} + $PSBoundParameters
$given.SwitchName = $SwitchName
$given.HostAddress = $HostAddress
$given.Folder = $Folder
Initialize-TzarHost @given
