function Set-TzarWorkerGuest {
    <#
    .SYNOPSIS
    What a guest needs at each boot, in one session: its address, the right time, and the answer whether a file is there.

    .DESCRIPTION
    Only what is given is done. -Address needs -PrefixLength; the address goes to the VM's first network adapter, in place
    of any other IPv4 address there. -Time is seconds since 1970 when this was asked; with -FromHostClock the host's own
    time is taken. The clock is set when it is off by more than half a second. Puts out Address, ClockWasOffSeconds (null
    when no time was given), PathExists (null without -TestPath).
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Name,
        [Parameter(Mandatory)] [string] $User,
        [Parameter(Mandatory)] [AllowEmptyString()] [string] $Password,
        [string] $Address,
        [ValidateRange(0, 32)] [int] $PrefixLength,
        [string] $Gateway,
        [double] $Time,
        [switch] $FromHostClock,
        [string] $TestPath
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    $patience = 20
    if ($Address -and -not $PrefixLength) { throw (New-TzarError -Id TzarBadAddress -Category InvalidArgument -Target $Name -Message "An address for '$Name' needs its prefix length, 1 to 32.") }
    $found = Find-TzarVM -Fleet $Fleet -Name $Name
    $mac = "$(@($found.VM.NetworkAdapters | Select-Object -First 1 | ForEach-Object { $_.MacAddress }))"
    if (-not $PSCmdlet.ShouldProcess($Name, "set the guest's address and clock")) { return }
    $session = Open-TzarGuest -Found $found -User $User -Password $Password
    try {
        $now = if ($FromHostClock) { ConvertTo-TzarUnixTime -Time ([datetime]::UtcNow) } elseif ($Time) { $Time + $watch.Elapsed.TotalSeconds } else { 0 }
        $answer = Invoke-Command -Session $session -ErrorAction Stop -ArgumentList $mac, $Address, $PrefixLength, $Gateway, $now, $TestPath, $patience -ScriptBlock {
            param($mac, $address, $prefix, $gateway, $now, $path, $patience)
            $ErrorActionPreference = 'Stop'
            $off = $null
            if ($now) {
                $right = (New-Object -TypeName datetime -ArgumentList 1970, 1, 1, 0, 0, 0, ([DateTimeKind]::Utc)).AddSeconds($now)
                $off = ([datetime]::UtcNow - $right).TotalSeconds
                if ([math]::Abs($off) -gt 0.5) { $null = Set-Date -Date $right.ToLocalTime() }
            }
            $problem = ''
            $isTaken = $false
            $watch = [System.Diagnostics.Stopwatch]::StartNew()
            # A guest that boots for the first time still finds its adapter, and IP refuses one that is not up.
            while ($address) {
                $problem = ''
                try {
                    $adapter = @(Get-NetAdapter -ErrorAction Stop | Where-Object { ($_.MacAddress -replace '-', '') -eq $mac })
                    if (-not $adapter.Count) { $problem = "it has no adapter with the address $mac" }
                    else {
                        $index = $adapter[0].ifIndex
                        $has = @(Get-NetIPAddress -ErrorAction Stop | Where-Object { $_.InterfaceIndex -eq $index -and "$($_.AddressFamily)" -eq 'IPv4' })
                        $routes = @(Get-NetRoute -ErrorAction Stop | Where-Object { $_.InterfaceIndex -eq $index -and $_.DestinationPrefix -eq '0.0.0.0/0' })
                        $isRight = $has.Count -eq 1 -and $has[0].IPAddress -eq $address -and $has[0].PrefixLength -eq $prefix -and "$($has[0].PrefixOrigin)" -eq 'Manual'
                        $hasGateway = $(if ($gateway) { $routes.Count -eq 1 -and $routes[0].NextHop -eq $gateway } else { -not $routes.Count })
                        if ($isRight -and $hasGateway) {
                            # Windows does not use an address before it knows that nobody else has it, nor one that somebody has.
                            $state = "$($has[0].AddressState)"
                            $isTaken = $state -eq 'Duplicate'
                            if ($isTaken) { $problem = 'another machine on its network has it' }
                            elseif ($state -eq 'Tentative') { $problem = 'it is not known yet whether another machine has it' }
                            if ($state -ne 'Tentative') { break }
                        }
                        else {
                            # Before anything is removed: DHCP would put it back.
                            Set-NetIPInterface -InterfaceIndex $index -AddressFamily IPv4 -Dhcp Disabled -ErrorAction Stop
                            foreach ($route in $routes) { Remove-NetRoute -InterfaceIndex $index -DestinationPrefix '0.0.0.0/0' -NextHop $route.NextHop -Confirm:$false -ErrorAction Stop }
                            foreach ($one in $has) { if ("$($one.PrefixOrigin)" -eq 'Manual') { Remove-NetIPAddress -InterfaceIndex $index -IPAddress $one.IPAddress -Confirm:$false -ErrorAction Stop } }
                            $new = @{ InterfaceIndex = $index; IPAddress = $address; PrefixLength = $prefix }
                            if ($gateway) { $new.DefaultGateway = $gateway }
                            $null = New-NetIPAddress @new -ErrorAction Stop
                            continue
                        }
                    }
                }
                catch { $problem = "$($_.Exception.Message)" }
                if ($watch.Elapsed.TotalSeconds -gt $patience) { break }
                Start-Sleep -Milliseconds 250
            }
            @{ Problem = $problem; IsTaken = $isTaken; Off = $off; Exists = $(if ($path) { Test-Path -LiteralPath $path } else { $null }) }
        }
    }
    catch [System.Management.Automation.Remoting.PSRemotingTransportException] {
        throw (New-TzarError -Id TzarNoGuestSession -Category ConnectionError -Target $Name -Cause $_.Exception -Message "The session in '$Name' broke: $($_.Exception.Message)")
    }
    finally { Remove-PSSession -Session $session }
    if ($answer.Problem) {
        $id = if ($answer.IsTaken) { 'TzarAddressTaken' } else { 'TzarNoAdapter' }
        throw (New-TzarError -Id $id -Category ObjectNotFound -Target $Name -Message "The guest of '$Name' could not be given $Address`: $($answer.Problem).")
    }
    [pscustomobject]@{
        Address = $Address
        ClockWasOffSeconds = if ($null -ne $answer.Off) { [math]::Round([double] $answer.Off, 3) } else { $null }
        PathExists = if ($null -ne $answer.Exists) { [bool] $answer.Exists } else { $null }
    }
}
