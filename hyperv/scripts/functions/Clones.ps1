# One clone: made whole or not at all.
#
# New-VM takes no Notes, so a VM is without its mark for a moment. Until then it is known by three things together: it lies
# in the fleet's folder, it has the name of its place there, and the file beside it (worker.json), written before it, says
# whose it is. The step after New-VM gives it mark, name and settings in one call of Set-VM.

function New-TzarClone {
    <#
    .SYNOPSIS
    Makes one VM with its disk, off. What fails in the middle is removed. Returns the VM with its mark.
    #>
    param([Parameter(Mandatory)] [string] $Name, [Parameter(Mandatory)] [hashtable] $Wanted, [object[]] $Among)
    $place = Get-TzarPlace -Name $Name
    $fleetFolder = Get-TzarFleetFolder -Folder $Wanted.Folder -Fleet $Wanted.Fleet
    $folder = "$fleetFolder\$place"
    Remove-TzarRemains -Fleet $Wanted.Fleet -Folder $folder -Among $Among
    try {
        $null = New-Item -ItemType Directory -Path $folder -Force -ErrorAction Stop
        # Not Set-Content: in Windows PowerShell its UTF8 begins with a byte order mark.
        [System.IO.File]::WriteAllText("$folder\worker.json", (ConvertTo-Json -InputObject @{ Fleet = $Wanted.Fleet; Name = $Name; Template = $Wanted.Template } -Compress))
        $disk = "$folder\$place.vhdx"
        $null = Hyper-V\New-VHD -Path $disk -ParentPath $Wanted.Template -Differencing -ErrorAction Stop
        Assert-TzarChain -Disk $disk -Template $Wanted.Template -Name $Name
        $new = @{
            Name = $place; Path = $fleetFolder; VHDPath = $disk; Generation = $Wanted.Generation
            MemoryStartupBytes = $Wanted.MemoryMB * 1MB; SwitchName = $Wanted.SwitchName
        }
        if ($Wanted.Generation -eq 2) { $new.BootDevice = 'VHD' }
        $vm = Hyper-V\New-VM @new -ErrorAction Stop
        $mark = [pscustomobject]@{ Fleet = $Wanted.Fleet; Name = $Name; Incarnation = 0; Parent = $Wanted.Template }
        $found = [pscustomobject]@{ VM = $vm; Mark = $mark }
        Set-TzarSettings -Found $found -Wanted $Wanted
        $found
    }
    catch {
        $failure = $_
        try { Remove-TzarRemains -Fleet $Wanted.Fleet -Folder $folder -Among @(Get-TzarMarkedVM) -Unstarted }
        catch { Write-Warning "What was made of '$Name' could not be removed now ($_). The next New-TzarWorkerVM or Remove-TzarWorkerVM of it does." }
        throw $failure
    }
}

function Complete-TzarClone {
    <#
    .SYNOPSIS
    Does what is missing of a VM that bears the mark and is off. One that was never started and cannot be completed is removed.
    #>
    param([Parameter(Mandatory)] [object] $Found, [Parameter(Mandatory)] [hashtable] $Wanted)
    try {
        Assert-TzarBootable -Found $Found
        Set-TzarSettings -Found $Found -Wanted $Wanted
    }
    catch {
        $failure = $_
        if ($Found.Mark.Incarnation -eq 0 -and (Test-TzarFleetFolder -Path $Found.VM.Path -Fleet $Wanted.Fleet)) {
            try { Remove-TzarRemains -Fleet $Wanted.Fleet -Folder $Found.VM.Path -Among @(Get-TzarMarkedVM) -Unstarted }
            catch { Write-Warning "What was made of '$($Found.Mark.Name)' could not be removed now ($_). Remove-TzarWorkerVM does." }
        }
        throw $failure
    }
}

function Set-TzarSettings {
    <#
    .SYNOPSIS
    Gives a VM that is off its mark, its name and its settings. What is right already is not touched.
    #>
    param([Parameter(Mandatory)] [object] $Found, [Parameter(Mandatory)] [hashtable] $Wanted)
    $vm = $Found.VM
    $mark = $Found.Mark
    $set = @{}
    $notes = Format-TzarNotes -Notes $vm.Notes -Fleet $mark.Fleet -Name $mark.Name -Incarnation $mark.Incarnation -Parent $Wanted.Template
    if ($notes -cne $vm.Notes) { $set.Notes = $notes }
    if (-not (Test-TzarSameName $vm.Name $mark.Name)) { $set.NewVMName = $mark.Name }
    if ($vm.ProcessorCount -ne $Wanted.Processors) { $set.ProcessorCount = $Wanted.Processors }
    # Automatic checkpoints would double each disk at its first start; only Standard ones hold memory.
    if ($vm.AutomaticCheckpointsEnabled) { $set.AutomaticCheckpointsEnabled = $false }
    if ("$($vm.CheckpointType)" -ne 'Standard') { $set.CheckpointType = 'Standard' }
    if ("$($vm.AutomaticStartAction)" -ne $Wanted.AutomaticStartAction) { $set.AutomaticStartAction = $Wanted.AutomaticStartAction }
    if ("$($vm.AutomaticStopAction)" -ne 'TurnOff') { $set.AutomaticStopAction = 'TurnOff' }
    $startup = $Wanted.MemoryMB * 1MB
    if ($Wanted.DynamicMemory) {
        $least = $Wanted.MinimumMemoryMB * 1MB
        $most = $Wanted.MaximumMemoryMB * 1MB
        if (-not $vm.DynamicMemoryEnabled -or $vm.MemoryStartup -ne $startup -or $vm.MemoryMinimum -ne $least -or $vm.MemoryMaximum -ne $most) {
            $set += @{ DynamicMemory = $true; MemoryStartupBytes = $startup; MemoryMinimumBytes = $least; MemoryMaximumBytes = $most }
        }
    }
    elseif ($vm.DynamicMemoryEnabled -or $vm.MemoryStartup -ne $startup) { $set += @{ StaticMemory = $true; MemoryStartupBytes = $startup } }
    $gpus = @(if ($Wanted.GpuPartition) { Hyper-V\Get-VMGpuPartitionAdapter -VM $vm -ErrorAction Stop })
    if ($Wanted.GpuPartition -and -not $gpus.Count) {
        # The room for the GPU's registers and memory in the guest's address space.
        $set += @{ GuestControlledCacheTypes = $true; LowMemoryMappedIoSpace = 1GB; HighMemoryMappedIoSpace = 32GB }
    }
    if ($set.Count) { Hyper-V\Set-VM -VM $vm @set -ErrorAction Stop }
    if ($Wanted.GpuPartition -and -not $gpus.Count) { Hyper-V\Add-VMGpuPartitionAdapter -VM $vm -ErrorAction Stop }
    Set-TzarDevices -VM $vm -Wanted $Wanted
}

function Set-TzarDevices {
    <#
    .SYNOPSIS
    The settings that have cmdlets of their own: firmware, screen, network, guest services.
    #>
    param([Parameter(Mandatory)] [object] $VM, [Parameter(Mandatory)] [hashtable] $Wanted)
    if ($Wanted.Generation -eq 2) {
        $firmware = Hyper-V\Get-VMFirmware -VM $VM -ErrorAction Stop
        $set = @{}
        if ("$($firmware.SecureBoot)" -ne $Wanted.SecureBoot) { $set.EnableSecureBoot = $Wanted.SecureBoot }
        if ($Wanted.SecureBoot -eq 'On' -and "$($firmware.SecureBootTemplate)" -ne $Wanted.SecureBootTemplate) { $set.SecureBootTemplate = $Wanted.SecureBootTemplate }
        if ($set.Count) { Hyper-V\Set-VMFirmware -VM $VM @set -ErrorAction Stop }
    }
    $video = Hyper-V\Get-VMVideo -VM $VM -ErrorAction Stop
    if ("$($video.ResolutionType)" -ne 'Single' -or $video.HorizontalResolution -ne $Wanted.VideoWidth -or $video.VerticalResolution -ne $Wanted.VideoHeight) {
        Hyper-V\Set-VMVideo -VM $VM -ResolutionType Single -HorizontalResolution $Wanted.VideoWidth -VerticalResolution $Wanted.VideoHeight -ErrorAction Stop
    }
    foreach ($adapter in @($VM.NetworkAdapters | Select-Object -First 1)) {
        if (-not (Test-TzarSameName $adapter.SwitchName $Wanted.SwitchName -IgnoreCase)) {
            Hyper-V\Connect-VMNetworkAdapter -VMNetworkAdapter $adapter -SwitchName $Wanted.SwitchName -ErrorAction Stop
        }
    }
    Enable-TzarGuestService -VM $VM
}

function Enable-TzarGuestService {
    <#
    .SYNOPSIS
    Turns the Guest Service Interface on, which Copy-VMFile needs. It is found by its component: its name is localised.
    #>
    param([Parameter(Mandatory)] [object] $VM)
    $service = @(Hyper-V\Get-VMIntegrationService -VM $VM -ErrorAction Stop | Where-Object { $_.Id -match '6C09BB55-D683-4DA0-8931-C9BF705F6480' })
    if (-not $service.Count) {
        throw (New-TzarError -Id TzarNoGuestService -Target $VM.Name -Message "The VM '$($VM.Name)' has no Guest Service Interface, by which identities are delivered. Use a host with Windows Server 2016 or later.")
    }
    if (-not $service[0].Enabled) { Hyper-V\Enable-VMIntegrationService -VMIntegrationService $service[0] -ErrorAction Stop }
}

function Remove-TzarRemains {
    <#
    .SYNOPSIS
    Removes what lies in the folder of a VM that was not made to the end: the VM without its mark, its disk, the folder.

    .DESCRIPTION
    With -Unstarted, a VM that bears the fleet's mark with incarnation 0, and is off, goes as well.
    #>
    param([Parameter(Mandatory)] [string] $Fleet, [Parameter(Mandatory)] [string] $Folder, [object[]] $Among, [switch] $Unstarted)
    foreach ($one in @($Among | Where-Object { Test-TzarSameName $_.VM.Path.TrimEnd('\') $Folder.TrimEnd('\') -IgnoreCase })) {
        $vm = $one.VM
        $isHalfMade = Test-TzarHalfMade -One $one -Fleet $Fleet
        $isUnstarted = $Unstarted -and $one.Mark -and $one.Mark.Fleet -ceq $Fleet -and $one.Mark.Incarnation -eq 0
        if (-not $isHalfMade -and -not ($isUnstarted -and "$($vm.State)" -eq 'Off')) {
            throw (New-TzarError -Id TzarForeignVM -Category PermissionDenied -Target $vm.Name -Message (
                "The VM '$($vm.Name)' ($($vm.Id)) lies in '$Folder' and is not what this fleet left there half made. It was not touched. Remove it by hand."))
        }
        Hyper-V\Remove-VM -VM $vm -Force -ErrorAction Stop
    }
    Remove-TzarFolder -Path $Folder -Fleet $Fleet
}

function Test-TzarHalfMade {
    <#
    .SYNOPSIS
    Whether a VM is what a crash between New-VM and the mark left: without a mark, off, and known by the three things.
    #>
    param([Parameter(Mandatory)] [object] $One, [Parameter(Mandatory)] [string] $Fleet)
    $vm = $One.VM
    if ($One.Mark -or "$($vm.State)" -ne 'Off' -or -not (Test-TzarFleetFolder -Path $vm.Path -Fleet $Fleet)) { return $false }
    $path = $vm.Path.TrimEnd('\')
    $note = Get-TzarWorkerNote -Folder $path
    $note.Fleet -ceq $Fleet -and $note.Name -and (Get-TzarPlace -Name $note.Name) -ceq $vm.Name -and $path.EndsWith("\$($vm.Name)", [StringComparison]::OrdinalIgnoreCase)
}

function Get-TzarWorkerNote {
    <#
    .SYNOPSIS
    What worker.json in a VM's folder says: Fleet, Name, Template; all empty when it is not there or not readable.
    #>
    param([Parameter(Mandatory)] [string] $Folder)
    $note = [pscustomobject]@{ Fleet = ''; Name = ''; Template = '' }
    if (-not (Test-Path -LiteralPath "$Folder\worker.json" -PathType Leaf)) { return $note }
    try {
        $read = ConvertFrom-Json -InputObject ([System.IO.File]::ReadAllText("$Folder\worker.json"))
        [pscustomobject]@{ Fleet = "$($read.Fleet)"; Name = "$($read.Name)"; Template = "$($read.Template)" }
    }
    catch { $note }  # cut short by a crash while it was written: nothing was made after it
}
