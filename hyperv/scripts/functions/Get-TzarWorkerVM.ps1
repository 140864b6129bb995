function Get-TzarWorkerVM {
    <#
    .SYNOPSIS
    The fleet's VMs on this host, with what the supervisor needs to know of each. As few calls for many VMs as for one.

    .DESCRIPTION
    Throws when the host cannot be asked: a VM that is not in the answer is absent, and no answer says nothing.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [string] $Name
    )
    $ErrorActionPreference = 'Stop'
    $ours = @(foreach ($one in Get-TzarMarkedVM) {
            if ($one.Mark -and $one.Mark.Fleet -ceq $Fleet -and (-not $Name -or [string]::Equals($one.Mark.Name, $Name))) { $one }
        })
    $list = Get-TzarCheckpointList -Among $ours
    $checkpoints = @{}
    foreach ($one in $list.VMs) { $checkpoints["$($one.VM.Id)"] = New-Object -TypeName System.Collections.ArrayList }
    foreach ($checkpoint in @($list.Checkpoints | Sort-Object -Property CreationTime)) {
        $null = $checkpoints["$($checkpoint.VMId)"].Add([pscustomobject]@{
                Name = $checkpoint.Name; Id = "$($checkpoint.Id)"; CreatedAt = ConvertTo-TzarUnixTime -Time $checkpoint.CreationTime
            })
    }
    $sizes = @{}
    foreach ($one in $list.VMs) {
        $vm = $one.VM
        $place = $vm.Path.TrimEnd('\')
        $cut = $place.LastIndexOf('\')
        $folder = if ($cut -gt 0) { $place.Substring(0, $cut) } else { '' }
        if (-not $sizes.ContainsKey($folder)) {
            # A VM that people moved elsewhere has no size here: nothing but a fleet's own folder is searched.
            $sizes[$folder] = if (Test-TzarFleetFolder -Path $place -Fleet $Fleet) { Get-TzarFolderSize -Folder $folder } else { @{} }
        }
        $detail = "$($vm.Status)"
        if (-not [string]::Equals($vm.Name, $one.Mark.Name)) { $detail += "; people named it '$($vm.Name)'" }
        [pscustomobject]@{
            Name                = $one.Mark.Name
            Id                  = "$($vm.Id)"
            State               = "$($vm.State)"
            Heartbeat           = "$($vm.Heartbeat)"
            UptimeSeconds       = [math]::Round($vm.Uptime.TotalSeconds, 3)
            MemoryAssignedBytes = [long] $vm.MemoryAssigned
            MemoryDemandBytes   = [long] $vm.MemoryDemand
            Incarnation         = $one.Mark.Incarnation
            Checkpoints         = @($checkpoints["$($vm.Id)"].ToArray())
            DiskBytes           = [long] $sizes[$folder][$place.Substring($cut + 1)]
            ParentPath          = $one.Mark.Parent
            Detail              = $detail
        }
    }
}

function ConvertTo-TzarUnixTime {
    <#
    .SYNOPSIS
    Seconds since 1970 of a time, in UTC.
    #>
    param([Parameter(Mandatory)] [datetime] $Time)
    [math]::Round(($Time.ToUniversalTime() - (New-Object -TypeName datetime -ArgumentList 1970, 1, 1, 0, 0, 0, ([DateTimeKind]::Utc))).TotalSeconds, 3)
}
