# What the host has room for. Asked before anything is made, and answered with the arithmetic.

function Assert-TzarMemory {
    <#
    .SYNOPSIS
    Throws TzarNotEnoughMemory unless the host can run so many VMs more, all at once with those it has.

    .DESCRIPTION
    A fleet's VM counts with the memory it starts with, also while it is off, since it is meant to run; any other VM with what it has now.
    #>
    param([Parameter(Mandatory)] [int] $Count, [Parameter(Mandatory)] [int] $MemoryMB, [Parameter(Mandatory)] [int] $ReserveMB, [object[]] $Among)
    $total = [math]::Floor((Hyper-V\Get-VMHost -ErrorAction Stop).MemoryCapacity / 1MB)
    $marked = @($Among | Where-Object { $_.Mark })
    $others = @($Among | Where-Object { -not $_.Mark -and $_.VM.MemoryAssigned })
    $promised = 0; foreach ($one in $marked) { $promised += $one.VM.MemoryStartup / 1MB }
    $used = 0; foreach ($one in $others) { $used += $one.VM.MemoryAssigned / 1MB }
    $free = $total - $ReserveMB - $promised - $used
    $needed = $Count * [long] $MemoryMB
    if ($needed -le $free) { return }
    throw (New-TzarError -Id TzarNotEnoughMemory -Category ResourceUnavailable -Message (
        ('{0} x {1} MB = {2} MB of memory do not fit: {3} MB - {4} MB in reserve - {5} MB of {6} fleet VMs - {7} MB of {8} other VMs = {9} MB are free. ' -f
            $Count, $MemoryMB, $needed, $total, $ReserveMB, $promised, $marked.Count, $used, $others.Count, $free) +
        ('{0} would fit. Make fewer, or give each less.' -f [math]::Max(0, [math]::Floor($free / $MemoryMB)))))
}

function Assert-TzarDisk {
    <#
    .SYNOPSIS
    Throws TzarNotEnoughDisk unless the volume has room for so many VMs more, and for what the fleet's others may still write.
    #>
    param(
        [Parameter(Mandatory)] [int] $Count,
        [Parameter(Mandatory)] [int] $DiskMB,
        [Parameter(Mandatory)] [int] $MemoryMB,
        [Parameter(Mandatory)] [int] $ReserveMB,
        [Parameter(Mandatory)] [string] $Folder,
        [Parameter(Mandatory)] [string] $Fleet,
        [Parameter(Mandatory)] [AllowEmptyCollection()] [string[]] $Places
    )
    # The volume is asked by a folder that is there: the fleet's may not be yet, and a volume may have no letter.
    $there = $Folder
    while ($there.Length -gt 3 -and -not (Test-Path -LiteralPath $there)) { $there = $there.Substring(0, [math]::Max(3, $there.TrimEnd('\').LastIndexOf('\'))) }
    $left = [math]::Floor((Get-Volume -FilePath $there -ErrorAction Stop).SizeRemaining / 1MB)
    $each = [long] $DiskMB + $MemoryMB
    $sizes = Get-TzarFolderSize -Folder (Get-TzarFleetFolder -Folder $Folder -Fleet $Fleet)
    $growth = 0
    foreach ($place in $Places) {
        $has = if ($sizes.ContainsKey($place)) { $sizes[$place] / 1MB } else { 0 }
        $growth += [math]::Ceiling([math]::Max(0, $each - $has))
    }
    $free = $left - $ReserveMB - $growth
    $needed = $Count * $each
    if ($needed -le $free) { return }
    throw (New-TzarError -Id TzarNotEnoughDisk -Category ResourceUnavailable -Target $Folder -Message (
        ('{0} x ({1} MB of disk + {2} MB for a checkpoint with memory) = {3} MB do not fit in {4}: {5} MB free - {6} MB in reserve - {7} MB that {8} VMs of the fleet may still write = {9} MB. ' -f
            $Count, $DiskMB, $MemoryMB, $needed, $Folder, $left, $ReserveMB, $growth, $Places.Count, $free) +
        ('{0} would fit. Make fewer, or free some.' -f [math]::Max(0, [math]::Floor($free / $each)))))
}

function Get-TzarFolderSize {
    <#
    .SYNOPSIS
    A table from the place of each VM in a fleet's folder to the bytes that its files take.
    #>
    param([string] $Folder)
    $sizes = @{}
    if (-not $Folder -or -not (Test-Path -LiteralPath $Folder)) { return $sizes }
    # Not Get-ChildItem: status asks this often, and it takes several times as long.
    try {
        foreach ($place in (Get-Item -LiteralPath $Folder -Force -ErrorAction Stop).EnumerateDirectories()) {
            $sizes[$place.Name] = [long] 0
            try {
                foreach ($file in $place.EnumerateFiles('*', 'AllDirectories')) {
                    $file.Refresh()  # a folder tells the size that a file had when it was opened
                    if ($file.Exists) { $sizes[$place.Name] += $file.Length }
                }
            }
            catch { Assert-TzarFolderRace -Record $_ }
        }
    }
    catch { Assert-TzarFolderRace -Record $_ }
    $sizes
}

function Assert-TzarFolderRace {
    <#
    .SYNOPSIS
    Throws an error again unless it is that of a folder that came or went while it was listed: a merge, a checkpoint. What is known by then counts.
    #>
    param([Parameter(Mandatory)] [System.Management.Automation.ErrorRecord] $Record)
    $cause = $Record.Exception.GetBaseException()
    if ($cause -is [System.IO.IOException] -or $cause -is [System.UnauthorizedAccessException] -or $cause -is [System.Management.Automation.ItemNotFoundException]) { return }
    throw $Record
}
