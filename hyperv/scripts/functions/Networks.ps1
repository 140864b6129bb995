# The fleet's own network on a host: an internal switch, the host's address on it, a firewall rule, and NAT if wanted.

function Get-TzarNetwork {
    <#
    .SYNOPSIS
    The network that an IPv4 address with a prefix length lies in, as 192.168.77.0/24. Throws TzarBadAddress.
    #>
    param([Parameter(Mandatory)] [string] $Address, [Parameter(Mandatory)] [int] $PrefixLength)
    $parsed = $null
    if ($Address -notmatch '^\d{1,3}(\.\d{1,3}){3}$' -or -not [System.Net.IPAddress]::TryParse($Address, [ref] $parsed)) {
        throw (New-TzarError -Id TzarBadAddress -Category InvalidArgument -Target $Address -Message "'$Address' is no IPv4 address. Write it as 192.168.77.1.")
    }
    $left = $PrefixLength
    $parts = foreach ($byte in $parsed.GetAddressBytes()) {
        $bits = [math]::Max(0, [math]::Min(8, $left))
        $left -= 8
        $byte -band (256 - [math]::Pow(2, 8 - $bits))
    }
    ($parts -join '.') + "/$PrefixLength"
}

function Find-TzarSwitchAdapter {
    <#
    .SYNOPSIS
    The host's own network adapter on a switch, or nothing. It is found by its address too: people rename adapters.
    #>
    param([Parameter(Mandatory)] [string] $SwitchName)
    $adapters = @(Get-NetAdapter -ErrorAction Stop)
    $found = @($adapters | Where-Object { $_.Name -eq "vEthernet ($SwitchName)" })
    if (-not $found.Count) {
        $macs = @(Hyper-V\Get-VMNetworkAdapter -ManagementOS -ErrorAction Stop | Where-Object { $_.SwitchName -eq $SwitchName } | ForEach-Object { $_.MacAddress })
        $found = @($adapters | Where-Object { $_.InterfaceDescription -like 'Hyper-V*' -and ($_.MacAddress -replace '-', '') -in $macs })
    }
    if ($found.Count) { $found[0] }
}

function Get-TzarAddress {
    <#
    .SYNOPSIS
    The IPv4 addresses of an adapter.
    #>
    param([Parameter(Mandatory)] [object] $Adapter)
    @(Get-NetIPAddress -ErrorAction Stop | Where-Object { $_.InterfaceIndex -eq $Adapter.ifIndex -and "$($_.AddressFamily)" -eq 'IPv4' })
}

function Get-TzarFirewallRule {
    <#
    .SYNOPSIS
    The fleet's firewall rule for a switch, or nothing: Name, Ports, Interfaces, IsOn.
    #>
    param([Parameter(Mandatory)] [string] $SwitchName)
    $name = "tzar-actors-$SwitchName"
    # By listing: -Name takes wildcards, and an error when there is none.
    $rule = @(Get-NetFirewallRule -ErrorAction Stop | Where-Object { $_.Name -eq $name })
    if (-not $rule.Count) { return }
    $ports = @((Get-NetFirewallPortFilter -AssociatedNetFirewallRule $rule[0] -ErrorAction Stop).LocalPort | ForEach-Object { "$_" })
    $interfaces = @((Get-NetFirewallInterfaceFilter -AssociatedNetFirewallRule $rule[0] -ErrorAction Stop).InterfaceAlias | ForEach-Object { "$_" })
    $isOn = "$($rule[0].Enabled)" -eq 'True' -and "$($rule[0].Action)" -eq 'Allow' -and "$($rule[0].Direction)" -eq 'Inbound'
    [pscustomobject]@{ Name = $name; Ports = $ports; Interfaces = $interfaces; IsOn = $isOn }
}

function Test-TzarFirewallRule {
    <#
    .SYNOPSIS
    Whether such a rule lets just these ports in, on just this adapter.
    #>
    param([object] $Rule, [Parameter(Mandatory)] [int[]] $Port, [Parameter(Mandatory)] [string] $Alias)
    if (-not $Rule -or -not $Rule.IsOn) { return $false }
    (@($Rule.Ports | Sort-Object) -join ' ') -eq (@($Port | ForEach-Object { "$_" } | Sort-Object) -join ' ') -and ($Rule.Interfaces -join ' ') -eq $Alias
}

function Assert-TzarSwitchName {
    <#
    .SYNOPSIS
    Throws TzarBadName for a switch's name that cmdlets of the network would take for a pattern.
    #>
    param([Parameter(Mandatory)] [string] $SwitchName)
    if ($SwitchName -match '[\[\]*?`"\p{Cc}]') {
        throw (New-TzarError -Id TzarBadName -Category InvalidArgument -Target $SwitchName -Message "'$SwitchName' cannot be the name of the switch: the firewall takes brackets, quotes, * and ? for patterns. Choose another.")
    }
}
