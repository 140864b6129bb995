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
    $ours = @(Get-TzarMarkedVM | Where-Object {
            $_.Mark -and $_.Mark.Fleet -ceq $Fleet -and (-not $Name -or (Test-TzarSameName $_.Mark.Name $Name))
        })
    $list = Get-TzarCheckpointList -Among $ours
    $checkpoints = @{}
    foreach ($checkpoint in @($list.Checkpoints | Sort-Object -Property CreationTime)) {
        $owner = "$($checkpoint.VMId)"
        $checkpoints[$owner] = @($checkpoints[$owner] | Where-Object { $_ }) + [pscustomobject]@{
            Name = $checkpoint.Name; Id = "$($checkpoint.Id)"; CreatedAt = ConvertTo-TzarUnixTime -Time $checkpoint.CreationTime
        }
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
        $notes = @("$($vm.Status)")
        if (-not (Test-TzarSameName $vm.Name $one.Mark.Name)) { $notes += "people named it '$($vm.Name)'" }
        [pscustomobject]@{
            Name                = $one.Mark.Name
            Id                  = "$($vm.Id)"
            State               = "$($vm.State)"
            Heartbeat           = "$($vm.Heartbeat)"
            UptimeSeconds       = [math]::Round($vm.Uptime.TotalSeconds, 3)
            MemoryAssignedBytes = [long] $vm.MemoryAssigned
            MemoryDemandBytes   = [long] $vm.MemoryDemand
            Incarnation         = $one.Mark.Incarnation
            Checkpoints         = @($checkpoints["$($vm.Id)"] | Where-Object { $_ })
            DiskBytes           = [long] $sizes[$folder][$place.Substring($cut + 1)]
            ParentPath          = $one.Mark.Parent
            Detail              = $notes -join '; '
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
