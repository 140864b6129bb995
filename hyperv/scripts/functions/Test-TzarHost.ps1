function Test-TzarHost {
    <#
    .SYNOPSIS
    Looks whether this host can carry a fleet. For each check: Name, Ok, Found, Wanted, Cure; it changes nothing.

    .DESCRIPTION
    Ok is null where it could not be found out; Found then says why. Only what is given is checked beside the host
    itself: the switch and the address on it, the ports, the folder's disk and the memory for -Count VMs, the template.
    -SupervisorIsElsewhere says that the supervisor does not run on this host, so that guests need NAT to reach it.
    -Time is seconds since 1970 at the supervisor.
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
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    $ErrorActionPreference = 'Stop'
    Test-TzarPowerShell
    Test-TzarRights -ByNetwork:$SupervisorIsElsewhere
    if ($Time) {
        $now = ConvertTo-TzarUnixTime -Time ([datetime]::UtcNow)
        $skew = [math]::Round($now - $Time - $watch.Elapsed.TotalSeconds, 1)
        New-TzarCheck -Name 'clock' -Ok ([math]::Abs($skew) -le 5) -Found "$skew s from the supervisor's" -Wanted 'at most 5 s' -Cure 'Set both clocks by the same time server: w32tm /resync'
    }
    Test-TzarQuota
    Invoke-TzarCheck -Name 'hyper-v' -Wanted 'Hyper-V answers' -Cure 'Enable the role and start its service: Install-WindowsFeature Hyper-V -IncludeManagementTools -Restart; Start-Service vmms' -Check {
        "$(@(Hyper-V\Get-VM -ErrorAction Stop).Count) VMs, $([math]::Floor((Hyper-V\Get-VMHost -ErrorAction Stop).MemoryCapacity / 1MB)) MB of memory"
    }
    if ($SwitchName) { Test-TzarNetwork -SwitchName $SwitchName -HostAddress $HostAddress -PrefixLength $PrefixLength -NeedsNat:$SupervisorIsElsewhere -Port $Port -BlobPort $BlobPort }
    if ($Template) {
        Invoke-TzarCheck -Name 'template' -Wanted 'a disk, read-only, without checkpoints, its own parents in order' -Cure '' -Check {
            Assert-TzarCloneable -Template $Template -Generation $Generation -Among @(Get-TzarMarkedVM)
            "$Template, $([math]::Floor((Get-Item -LiteralPath $Template -Force).Length / 1MB)) MB"
        }
    }
    # The VMs that the fleet has already are among those that are asked for.
    $ours = { @(Get-TzarMarkedVM | Where-Object { $_.Mark -and $_.Mark.Fleet -ceq $Fleet }) }
    Invoke-TzarCheck -Name 'memory' -Wanted "room for $Count VMs of $MemoryMB MB" -Cure '' -Check {
        $all = @(Get-TzarMarkedVM)
        $more = [math]::Max(0, $Count - @(& $ours).Count)
        Assert-TzarMemory -Count $more -MemoryMB $MemoryMB -ReserveMB $ReserveMemoryMB -Among $all
        "room for $more more"
    }
    if ($Folder) {
        Invoke-TzarCheck -Name 'disk' -Wanted "room for $Count VMs of $DiskMB MB" -Cure '' -Check {
            Assert-TzarPath -Path $Folder -What 'The folder'
            $places = @(& $ours | ForEach-Object { Get-TzarPlace -Name $_.Mark.Name })
            $more = [math]::Max(0, $Count - $places.Count)
            Assert-TzarDisk -Count $more -DiskMB $DiskMB -MemoryMB $MemoryMB -ReserveMB $ReserveDiskMB -Folder $Folder -Fleet $Fleet -Places $places
            "room for $more more in $Folder"
        }
    }
    if ($GpuPartition) {
        Invoke-TzarCheck -Name 'gpu' -Wanted 'a GPU that can be partitioned' -Cure 'Use a GPU and driver that can, or set gpu_partition = false.' -Check {
            # Windows 10 has the older of the two names.
            $ask = @(Get-Command -Module Hyper-V -Name 'Get-VMHostPartitionableGpu', 'Get-VMPartitionableGpu' -ErrorAction Ignore)
            if (-not $ask.Count) { throw (New-TzarError -Id TzarNoGpu -Category ObjectNotFound -Message "this Windows cannot say which: its module has no Get-VMHostPartitionableGpu") }
            $gpus = @(& $ask[0] -ErrorAction Stop)
            if (-not $gpus.Count) { throw (New-TzarError -Id TzarNoGpu -Category ObjectNotFound -Message 'none') }
            "$($gpus.Count): $($gpus[0].Name)"
        }
    }
}

function New-TzarCheck {
    <#
    .SYNOPSIS
    The outcome of one check.
    #>
    param([string] $Name, [object] $Ok, [string] $Found, [string] $Wanted, [string] $Cure)
    [pscustomobject]@{ Name = $Name; Ok = $Ok; Found = $Found; Wanted = $Wanted; Cure = if ($Ok -eq $true) { '' } else { $Cure } }
}

function Invoke-TzarCheck {
    <#
    .SYNOPSIS
    A check that is in order when this does not throw. Our own errors hold their cure already, but for those of -CureOf.
    #>
    param([string] $Name, [string] $Wanted, [string] $Cure, [string] $CureOf, [scriptblock] $Check)
    try { New-TzarCheck -Name $Name -Ok $true -Found "$(& $Check)" -Wanted $Wanted -Cure '' }
    catch {
        $found = ($_.Exception.Message -replace '\s+', ' ').Trim()
        New-TzarCheck -Name $Name -Ok $false -Found $found -Wanted $Wanted -Cure $(if ($Cure -and (-not $CureOf -or "$($_.FullyQualifiedErrorId)" -like "$CureOf*")) { $Cure } else { 'As said there.' })
    }
}

function Test-TzarPowerShell {
    <#
    .SYNOPSIS
    The versions of Windows, its PowerShell and Hyper-V's module.
    #>
    param()
    $version = $PSVersionTable.PSVersion
    $isRight = $version.Major -eq 5 -and $version.Minor -ge 1
    New-TzarCheck -Name 'powershell' -Ok $isRight -Found "$version" -Wanted '5.1' -Cure 'Update Windows: Windows PowerShell 5.1 comes with Windows Server 2016 and Windows 10.'
    Invoke-TzarCheck -Name 'windows' -Wanted '10.0.17763 (Windows Server 2019, Windows 10 1809) or later' -Cure 'Update Windows.' -Check {
        $system = Get-CimInstance -ClassName Win32_OperatingSystem -ErrorAction Stop
        if ([version] $system.Version -lt [version] '10.0.17763') { throw (New-TzarError -Id TzarOldWindows -Message "$($system.Version), $($system.Caption)") }
        "$($system.Version), $($system.Caption)"
    }
    $module = @(Get-Module -ListAvailable -Name Hyper-V | Sort-Object -Property Version)
    $has = if ($module.Count) { "$($module[-1].Version)" } else { 'none' }
    $isRight = $module.Count -and $module[-1].Version -ge [version] '2.0.0.0'
    New-TzarCheck -Name 'module' -Ok ([bool] $isRight) -Found $has -Wanted 'Hyper-V 2.0.0.0 or later' -Cure 'Install-WindowsFeature Hyper-V-PowerShell, or Enable-WindowsOptionalFeature -Online -FeatureName Microsoft-Hyper-V-Management-PowerShell'
}

function Test-TzarRights {
    <#
    .SYNOPSIS
    Whether the account may do what the fleet needs, by the groups' SIDs: their names are localised.

    .DESCRIPTION
    -ByNetwork: WMI lets others than administrators in only where somebody has granted it, which is not looked at.
    #>
    param([switch] $ByNetwork)
    $wanted = 'a member of Administrators (S-1-5-32-544)'
    if (-not $ByNetwork) { $wanted += ' or Hyper-V Administrators (S-1-5-32-578)' }
    try {
        $groups = @(Get-TzarGroup)
        $found = "${env:USERNAME}: " + $(if ($groups) { $groups -join ', ' } else { 'neither' })
        $ok = if ($ByNetwork -and $groups -and 'S-1-5-32-544' -notin $groups) { $null } else { [bool] $groups }
        $sid = if ($ByNetwork) { 'S-1-5-32-544' } else { 'S-1-5-32-578' }
        New-TzarCheck -Name 'rights' -Ok $ok -Found $found -Wanted $wanted -Cure "Add-LocalGroupMember -SID $sid -Member '$env:USERDOMAIN\$env:USERNAME', then log on anew"
    }
    catch { New-TzarCheck -Name 'rights' -Ok $null -Found "the groups of $env:USERNAME could not be read: $($_.Exception.GetBaseException().Message)" -Wanted $wanted -Cure 'See whether the check of Hyper-V is in order.' }
}

function Test-TzarQuota {
    <#
    .SYNOPSIS
    The limits of WinRM that a few lanes with a long-lived PowerShell each come near.
    #>
    param()
    foreach ($quota in @(
            @{ Path = 'WSMan:\localhost\MaxEnvelopeSizekb'; Least = 500 }
            @{ Path = 'WSMan:\localhost\Shell\MaxShellsPerUser'; Least = 30 }
            @{ Path = 'WSMan:\localhost\Shell\MaxProcessesPerShell'; Least = 15 }
            @{ Path = 'WSMan:\localhost\Shell\MaxMemoryPerShellMB'; Least = 1024 }
            @{ Path = 'WSMan:\localhost\Service\MaxConcurrentOperationsPerUser'; Least = 1500 })) {
        $name = 'quota ' + $quota.Path.Substring($quota.Path.LastIndexOf('\') + 1)
        $cure = "Set-Item -LiteralPath $($quota.Path) -Value $($quota.Least)"
        try {
            $has = [long] (Get-Item -LiteralPath $quota.Path -ErrorAction Stop).Value
            New-TzarCheck -Name $name -Ok ($has -ge $quota.Least) -Found "$has" -Wanted "$($quota.Least) or more" -Cure $cure
        }
        catch { New-TzarCheck -Name $name -Ok $null -Found "it could not be read: $($_.Exception.Message)" -Wanted "$($quota.Least) or more" -Cure 'As an administrator: winrm quickconfig' }
    }
}

function Test-TzarNetwork {
    <#
    .SYNOPSIS
    The switch, the host's address on it, the firewall, and NAT where guests need it.
    #>
    param([string] $SwitchName, [string] $HostAddress, [int] $PrefixLength, [switch] $NeedsNat, [int] $Port, [int] $BlobPort)
    $cure = ".\Initialize-TzarHost.ps1 -SwitchName '$($SwitchName -replace "'", "''")'"
    if ($HostAddress) { $cure += " -HostAddress $HostAddress -PrefixLength $PrefixLength" }
    if ($Port) { $cure += " -Port $Port" }
    if ($BlobPort) { $cure += " -BlobPort $BlobPort" }
    if ($NeedsNat) { $cure += ' -Nat' }
    $seen = @{ Type = ''; Adapter = $null }
    Invoke-TzarCheck -Name 'switch' -Wanted "a switch '$SwitchName'" -Cure $cure -CureOf TzarNoSwitch -Check {
        $switches = @(Hyper-V\Get-VMSwitch -ErrorAction Stop)
        $ours = @($switches | Where-Object { Test-TzarSameName $_.Name $SwitchName -IgnoreCase })
        if (-not $ours.Count) {
            $others = if ($switches.Count) { ' of that name; there are: ' + (@($switches | ForEach-Object { "'$($_.Name)'" }) -join ', ') }
            throw (New-TzarError -Id TzarNoSwitch -Category ObjectNotFound -Target $SwitchName -Message "there is none$others")
        }
        $seen.Type = "$($ours[0].SwitchType)"
        $seen.Adapter = Find-TzarSwitchAdapter -SwitchName $SwitchName
        $seen.Type
    }
    # An external switch has the network that it is on; a private one has no way to anywhere.
    if ($seen.Type -eq 'Private') {
        New-TzarCheck -Name 'address' -Ok $false -Found 'a private switch' -Wanted 'a way from the guests to the supervisor' -Cure 'Use an internal or external switch.'
    }
    if ($seen.Type -ne 'Internal') { return }
    if ($HostAddress) {
        $wanted = "$HostAddress/$PrefixLength"
        Invoke-TzarCheck -Name 'address' -Wanted $wanted -Cure $cure -CureOf TzarNoAddress -Check {
            $has = @(if ($seen.Adapter) { Get-TzarAddress -Adapter $seen.Adapter | ForEach-Object { "$($_.IPAddress)/$($_.PrefixLength)" } })
            if ($has -notcontains $wanted) { throw (New-TzarError -Id TzarNoAddress -Category ObjectNotFound -Message $(if ($has.Count) { $has -join ', ' } else { 'none' })) }
            $has -join ', '
        }
    }
    if ($NeedsNat) {
        Invoke-TzarCheck -Name 'nat' -Wanted 'NAT for the guests, since the supervisor is not on this host' -Cure $cure -Check {
            $networks = @(Get-NetNat -ErrorAction Stop | ForEach-Object { $_.InternalIPInterfaceAddressPrefix })
            $network = if ($HostAddress) { Get-TzarNetwork -Address $HostAddress -PrefixLength $PrefixLength } else { '' }
            if (-not $networks.Count -or ($network -and $network -notin $networks)) { throw (New-TzarError -Id TzarNoNat -Message "NAT of: $($networks -join ', ')") }
            $networks -join ', '
        }
    }
    elseif ($Port) {
        $ports = @($Port); if ($BlobPort) { $ports += $BlobPort }
        Invoke-TzarCheck -Name 'firewall' -Wanted "TCP $($ports -join ', ') let in on the switch alone" -Cure $cure -Check {
            $rule = Get-TzarFirewallRule -SwitchName $SwitchName
            $found = if ($rule) { "TCP $($rule.Ports -join ', ') on $($rule.Interfaces -join ', ')" } else { 'no rule' }
            if (-not $seen.Adapter -or -not (Test-TzarFirewallRule -Rule $rule -Port $ports -Alias $seen.Adapter.Name)) { throw (New-TzarError -Id TzarNoRule -Message $found) }
            $found
        }
    }
}
