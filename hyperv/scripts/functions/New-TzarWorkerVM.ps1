function New-TzarWorkerVM {
    <#
    .SYNOPSIS
    Makes worker VMs, each with a differencing disk on the template, and starts them unless -NoStart.

    .DESCRIPTION
    Run twice it does the rest of what is missing. What does not fit in the host's memory or disk is refused before
    anything is made. A VM that fails in the middle is removed whole, and the error is thrown; those made before it stay.
    Puts out Name, Id, State, Incarnation of each.
    #>
    [CmdletBinding(SupportsShouldProcess, DefaultParameterSetName = 'Count')]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory, ParameterSetName = 'Name')] [ValidateNotNullOrEmpty()] [string[]] $Name,
        [Parameter(Mandatory, ParameterSetName = 'Count')] [ValidateRange(1, 999)] [int] $Count,
        [Parameter(ParameterSetName = 'Count')] [ValidateNotNullOrEmpty()] [string] $Prefix = 'tzar',
        [Parameter(Mandatory)] [string] $Template,
        [Parameter(Mandatory)] [string] $Folder,
        [Parameter(Mandatory)] [string] $SwitchName,
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
        [switch] $NoStart
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    if ($PSCmdlet.ParameterSetName -eq 'Count') { $Name = @(1..$Count | ForEach-Object { '{0}-{1:d2}' -f $Prefix, $_ }) }
    $Name = @($Name | Select-Object -Unique)
    foreach ($one in $Name) { Assert-TzarName -Name $one }
    Assert-TzarPath -Path $Folder -What 'The folder'
    $wanted = @{
        Generation = $Generation; MemoryMB = $MemoryMB; Processors = $Processors; AutomaticStartAction = $AutomaticStartAction
        DynamicMemory = [bool] $DynamicMemory; MinimumMemoryMB = $MinimumMemoryMB; MaximumMemoryMB = $MaximumMemoryMB
        SecureBoot = $SecureBoot; SecureBootTemplate = $SecureBootTemplate; VideoWidth = $VideoWidth; VideoHeight = $VideoHeight
        GpuPartition = [bool] $GpuPartition; SwitchName = $SwitchName; Fleet = $Fleet; Folder = $Folder; Template = $Template
    }
    Assert-TzarMemoryRange -Wanted $wanted
    $all = @(Get-TzarMarkedVM)
    $there = New-Object -TypeName System.Collections.Hashtable -ArgumentList ([StringComparer]::Ordinal)
    foreach ($one in $Name) { $there[$one] = Select-TzarVM -Among $all -Fleet $Fleet -Name $one }
    $missing = @($Name | Where-Object { -not $there[$_] })
    if ($missing.Count) {
        Assert-TzarCloneable -Template $Template -Generation $Generation -Among $all
        Assert-TzarSwitch -SwitchName $SwitchName
        Assert-TzarMemory -Count $missing.Count -MemoryMB $MemoryMB -ReserveMB $ReserveMemoryMB -Among $all
        $places = @($all | Where-Object { $_.Mark -and $_.Mark.Fleet -ceq $Fleet } | ForEach-Object { Get-TzarPlace -Name $_.Mark.Name })
        Assert-TzarDisk -Count $missing.Count -DiskMB $DiskMB -MemoryMB $MemoryMB -ReserveMB $ReserveDiskMB -Folder $Folder -Fleet $Fleet -Places $places
    }
    foreach ($one in $Name) {
        $what = if ($there[$one]) { 'complete the worker VM' } else { "make the worker VM as a clone of '$Template'" }
        if (-not $NoStart) { $what += ' and start it' }
        if (-not $PSCmdlet.ShouldProcess($one, $what)) { continue }
        $found = $there[$one]
        if (-not $found) { $found = New-TzarClone -Name $one -Wanted $wanted -Among $all }
        elseif ("$($found.VM.State)" -eq 'Off') { Complete-TzarClone -Found $found -Wanted $wanted }
        if ($NoStart) { Get-TzarSummary -Id $found.VM.Id }
        else { Start-TzarWorkerVM -Fleet $Fleet -Name $one }
    }
}

function Assert-TzarName {
    <#
    .SYNOPSIS
    Throws TzarBadName unless a VM can bear this name.
    #>
    param([string] $Name)
    if ($Name.Length -gt 100 -or $Name -cmatch '\p{Cc}' -or $Name.Trim() -cne $Name -or -not $Name) {
        throw (New-TzarError -Id TzarBadName -Category InvalidArgument -Target $Name -Message (
            "'$Name' cannot be a VM's name: Hyper-V takes up to 100 characters, and here none of them may be a control character, or a blank at an end. Choose another."))
    }
}

function Assert-TzarMemoryRange {
    <#
    .SYNOPSIS
    Fills in what of dynamic memory was not given, and throws TzarBadMemory unless minimum, startup and maximum rise.
    #>
    param([Parameter(Mandatory)] [hashtable] $Wanted)
    if (-not $Wanted.DynamicMemory) {
        if ($Wanted.MinimumMemoryMB -or $Wanted.MaximumMemoryMB) {
            throw (New-TzarError -Id TzarBadMemory -Category InvalidArgument -Message 'A minimum or maximum of memory needs -DynamicMemory. Give that as well, or neither.')
        }
        return
    }
    if (-not $Wanted.MinimumMemoryMB) { $Wanted.MinimumMemoryMB = [math]::Min(512, $Wanted.MemoryMB) }
    if (-not $Wanted.MaximumMemoryMB) { $Wanted.MaximumMemoryMB = $Wanted.MemoryMB }
    if ($Wanted.MinimumMemoryMB -gt $Wanted.MemoryMB -or $Wanted.MaximumMemoryMB -lt $Wanted.MemoryMB) {
        throw (New-TzarError -Id TzarBadMemory -Category InvalidArgument -Message (
            'Dynamic memory must rise from minimum to startup to maximum, not {0}, {1}, {2} MB.' -f $Wanted.MinimumMemoryMB, $Wanted.MemoryMB, $Wanted.MaximumMemoryMB))
    }
}

function Assert-TzarSwitch {
    <#
    .SYNOPSIS
    Throws TzarNoSwitch unless there is a switch of this name.
    #>
    param([Parameter(Mandatory)] [string] $SwitchName)
    $switches = @(Hyper-V\Get-VMSwitch -ErrorAction Stop)
    if (-not @($switches | Where-Object { Test-TzarSameName $_.Name $SwitchName -IgnoreCase }).Count) {
        $names = @($switches | ForEach-Object { "'$($_.Name)'" }) -join ', '
        throw (New-TzarError -Id TzarNoSwitch -Category ObjectNotFound -Target $SwitchName -Message (
            "There is no virtual switch '$SwitchName' (there are: $names). Make it with Initialize-TzarHost -SwitchName '$SwitchName'."))
    }
}
