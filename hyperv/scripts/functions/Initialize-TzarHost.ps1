function Initialize-TzarHost {
    <#
    .SYNOPSIS
    Prepares a Hyper-V host for worker VMs: the internal switch, the host's address on it, NAT if wanted, the firewall
    rule for the supervisor's ports on that switch alone, and the folder. Run twice, it does what is missing.

    .DESCRIPTION
    Puts out Name, Found ("made", "changed" or "there"), Detail for each part. A part that fails leaves those before it.
    Throws TzarWrongSwitch when there is a switch of that name which is not internal; it is not touched.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidateNotNullOrEmpty()] [string] $SwitchName,
        [Parameter(Mandatory)] [string] $HostAddress,
        [ValidateRange(8, 30)] [int] $PrefixLength = 24,
        [switch] $Nat,
        [Parameter(Mandatory)] [ValidateRange(1, 65535)] [int] $Port,
        [ValidateRange(0, 65535)] [int] $BlobPort = 0,
        [Parameter(Mandatory)] [string] $Folder
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    Assert-TzarSwitchName -SwitchName $SwitchName
    Assert-TzarPath -Path $Folder -What 'The folder'
    $network = Get-TzarNetwork -Address $HostAddress -PrefixLength $PrefixLength
    $ports = @($Port); if ($BlobPort) { $ports += $BlobPort }

    $switch = @(Hyper-V\Get-VMSwitch -ErrorAction Stop | Where-Object { $_.Name -eq $SwitchName })
    if ($switch.Count -and "$($switch[0].SwitchType)" -ne 'Internal') {
        throw (New-TzarError -Id TzarWrongSwitch -Target $SwitchName -Message (
            "There is a switch '$SwitchName' of type $($switch[0].SwitchType), not Internal; it was not touched. Choose another name, or use it as it is: then this script is not needed."))
    }
    $state = 'there'
    if (-not $switch.Count -and $PSCmdlet.ShouldProcess($SwitchName, 'make the internal switch')) {
        $null = Hyper-V\New-VMSwitch -Name $SwitchName -SwitchType Internal -Notes 'tzar-actors' -ErrorAction Stop
        $state = 'made'
    }
    $adapter = Wait-TzarSwitchAdapter -SwitchName $SwitchName -IsThere ($switch.Count -or $state -eq 'made')
    if ($adapter) { [pscustomobject]@{ Name = 'switch'; Found = $state; Detail = "$SwitchName, the host's adapter is $($adapter.Name)" } }

    Initialize-TzarAddress -Adapter $adapter -Address $HostAddress -PrefixLength $PrefixLength -Cmdlet $PSCmdlet
    if ($Nat) { Initialize-TzarNat -SwitchName $SwitchName -Network $network -Cmdlet $PSCmdlet }
    Initialize-TzarFirewall -SwitchName $SwitchName -Adapter $adapter -Port $ports -Cmdlet $PSCmdlet
    $state = 'there'
    if (-not (Test-Path -LiteralPath $Folder -PathType Container)) {
        if (-not $PSCmdlet.ShouldProcess($Folder, 'make the folder')) { return }
        $null = New-Item -ItemType Directory -Path $Folder -Force -ErrorAction Stop
        $state = 'made'
    }
    [pscustomobject]@{ Name = 'folder'; Found = $state; Detail = $Folder }
}

function Wait-TzarSwitchAdapter {
    <#
    .SYNOPSIS
    The host's adapter on a switch; when the switch is there, up to 30 s are waited for it. Throws TzarNoAdapter.
    #>
    param([Parameter(Mandatory)] [string] $SwitchName, [Parameter(Mandatory)] [bool] $IsThere)
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    while ($IsThere) {
        $adapter = Find-TzarSwitchAdapter -SwitchName $SwitchName
        if ($adapter) { return $adapter }
        if ($watch.Elapsed.TotalSeconds -gt 30) {
            throw (New-TzarError -Id TzarNoAdapter -Category ObjectNotFound -Target $SwitchName -Message "The host has no adapter on the switch '$SwitchName'. Remove the switch and run this again.")
        }
        Start-Sleep -Milliseconds 250
    }
}

function Initialize-TzarAddress {
    <#
    .SYNOPSIS
    Gives the host its address on the switch, in place of none other: a second address does no harm.
    #>
    param([object] $Adapter, [string] $Address, [int] $PrefixLength, [object] $Cmdlet)
    $state = 'there'
    $has = @(if ($Adapter) { Get-TzarAddress -Adapter $Adapter })
    $same = @($has | Where-Object { $_.IPAddress -eq $Address })
    if ($same.Count -and $same[0].PrefixLength -ne $PrefixLength) {
        if (-not $Cmdlet.ShouldProcess($Address, "change its prefix length to $PrefixLength")) { return }
        Remove-NetIPAddress -InterfaceIndex $Adapter.ifIndex -IPAddress $Address -Confirm:$false -ErrorAction Stop
        $same = @()
        $state = 'changed'
    }
    if (-not $same.Count) {
        if ($state -eq 'there') {
            if (-not $Cmdlet.ShouldProcess("$Address/$PrefixLength", 'give the host this address on the switch')) { return }
            $state = 'made'
        }
        Set-TzarAddress -Adapter $Adapter -Address $Address -PrefixLength $PrefixLength
    }
    [pscustomobject]@{ Name = 'address'; Found = $state; Detail = "$Address/$PrefixLength" }
}

function Set-TzarAddress {
    <#
    .SYNOPSIS
    Gives an adapter an address. One that was just made is listed before IP can use it, and refuses for some seconds.
    #>
    param([object] $Adapter, [string] $Address, [int] $PrefixLength)
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    while ($true) {
        try {
            Set-NetIPInterface -InterfaceIndex $Adapter.ifIndex -AddressFamily IPv4 -Dhcp Disabled -ErrorAction Stop
            $null = New-NetIPAddress -InterfaceIndex $Adapter.ifIndex -IPAddress $Address -PrefixLength $PrefixLength -ErrorAction Stop
            return
        }
        catch {
            # 87: DHCP is still on for it; 1168: IP does not know it yet.
            if ($_.FullyQualifiedErrorId -notmatch 'System Error (87|1168)\b' -or $watch.Elapsed.TotalSeconds -gt 30) { throw }
        }
        Start-Sleep -Milliseconds 500
        # It may have been written all the same.
        if (@(Get-TzarAddress -Adapter $Adapter | Where-Object { $_.IPAddress -eq $Address }).Count) { return }
    }
}

function Initialize-TzarNat {
    <#
    .SYNOPSIS
    Makes the NAT that lets the fleet's network out, unless there is one for just that network.
    #>
    param([string] $SwitchName, [string] $Network, [object] $Cmdlet)
    $state = 'there'
    $same = @(Get-NetNat -ErrorAction Stop | Where-Object { $_.InternalIPInterfaceAddressPrefix -eq $Network })
    if (-not $same.Count) {
        if (-not $Cmdlet.ShouldProcess($Network, 'make the NAT')) { return }
        # Ours of another network is in the way of its own name.
        foreach ($old in @(Get-NetNat -ErrorAction Stop | Where-Object { $_.Name -eq "tzar-actors-$SwitchName" })) {
            Remove-NetNat -InputObject $old -Confirm:$false -ErrorAction Stop
        }
        $null = New-NetNat -Name "tzar-actors-$SwitchName" -InternalIPInterfaceAddressPrefix $Network -ErrorAction Stop
        $state = 'made'
    }
    [pscustomobject]@{ Name = 'nat'; Found = $state; Detail = $Network }
}

function Initialize-TzarFirewall {
    <#
    .SYNOPSIS
    Lets the guests in on the supervisor's ports, on the switch's adapter and nowhere else.
    #>
    param([string] $SwitchName, [object] $Adapter, [int[]] $Port, [object] $Cmdlet)
    $rule = Get-TzarFirewallRule -SwitchName $SwitchName
    $state = 'there'
    $alias = if ($Adapter) { $Adapter.Name } else { "vEthernet ($SwitchName)" }
    if (-not (Test-TzarFirewallRule -Rule $rule -Port $Port -Alias $alias)) {
        if (-not $Cmdlet.ShouldProcess("TCP $($Port -join ', ') on '$alias'", 'let guests in through the firewall')) { return }
        $state = if ($rule) { 'changed' } else { 'made' }
        # Made anew: filters of a rule that people changed may be of any kind.
        if ($rule) { Remove-NetFirewallRule -Name $rule.Name -Confirm:$false -ErrorAction Stop }
        $null = New-NetFirewallRule -Name "tzar-actors-$SwitchName" -DisplayName "tzar-actors: guests on '$SwitchName' to the supervisor" -Group 'tzar-actors' `
            -Direction Inbound -Action Allow -Protocol TCP -LocalPort @($Port | ForEach-Object { "$_" }) -InterfaceAlias $alias -ErrorAction Stop
    }
    [pscustomobject]@{ Name = 'firewall'; Found = $state; Detail = "TCP $($Port -join ', ') on '$alias'" }
}
