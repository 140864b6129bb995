# The template: the read-only parent of all disks. A write to it orphans every clone, so it is looked at before each use.

function Assert-TzarTemplate {
    <#
    .SYNOPSIS
    Throws TzarTemplateMissing, TzarTemplateWritable or TzarBadPath unless this file can be the parent of clones.
    #>
    param([Parameter(Mandatory)] [string] $Template)
    Assert-TzarPath -Path $Template -What 'The template'
    if (-not (Test-Path -LiteralPath $Template -PathType Leaf)) {
        throw (New-TzarError -Id TzarTemplateMissing -Category ObjectNotFound -Target $Template -Message (
            "There is no template '$Template'. Clones need it where it was: put it back, or name another and make the VMs anew."))
    }
    if (-not (Get-Item -LiteralPath $Template -Force -ErrorAction Stop).IsReadOnly) {
        throw (New-TzarError -Id TzarTemplateWritable -Target $Template -Message (
            "The template '$Template' is writable: a write to it would break all its clones. Protect it: Set-ItemProperty -LiteralPath '$Template' -Name IsReadOnly -Value `$true"))
    }
}

function Assert-TzarCloneable {
    <#
    .SYNOPSIS
    As Assert-TzarTemplate, and throws TzarTemplateHasCheckpoints and TzarTemplateChanged when clones of it would be wrong or break.
    #>
    param([Parameter(Mandatory)] [string] $Template, [Parameter(Mandatory)] [int] $Generation, [object[]] $Among)
    Assert-TzarTemplate -Template $Template
    if ($Template -match '\.avhdx?$') {
        throw (New-TzarError -Id TzarTemplateHasCheckpoints -Target $Template -Message (
            "'$Template' is the disk of a checkpoint, which goes when the checkpoint goes. Merge it, or export the VM, and clone the disk that comes of it."))
    }
    # Clones are .vhdx, and one of these has no other kind for its parent.
    if ($Template -notmatch '\.vhdx$') {
        throw (New-TzarError -Id TzarBadPath -Category InvalidArgument -Target $Template -Message "The template '$Template' is no disk that can be cloned. Name a .vhdx: Convert-VHD makes one of a .vhd.")
    }
    $others = @($Among | Where-Object { -not $_.Mark })
    foreach ($checkpoint in (Get-TzarCheckpointList -Among $others).Checkpoints) {
        if (@($checkpoint.HardDrives | Where-Object { $_.Path -eq $Template }).Count) {
            throw (New-TzarError -Id TzarTemplateHasCheckpoints -Target $Template -Message (
                "The template '$Template' lies under the checkpoint '$($checkpoint.Name)' of VM '$($checkpoint.VMName)', so it is not what that VM is now. Remove the VM's checkpoints, or remove the VM."))
        }
    }
    Assert-TzarChain -Disk $Template -Template $Template -Name ''
}

function Assert-TzarChain {
    <#
    .SYNOPSIS
    Throws TzarTemplateChanged or TzarTemplateMissing unless Hyper-V finds the disk and all its parents in order.

    .DESCRIPTION
    A disk holds the identity that its parent had when it was made; Test-VHD compares the two.
    #>
    param([Parameter(Mandatory)] [string] $Disk, [Parameter(Mandatory)] [string] $Template, [string] $Name)
    try { $good = Hyper-V\Test-VHD -Path $Disk -ErrorAction Stop }
    catch {
        # Clones that run hold the template open: then it is in order, or they would not run.
        if ($Disk -eq $Template -and (Test-TzarHResult -Record $_ -Code 80070020)) { return }
        $cure = 'Make its clones anew: Remove-TzarWorkerVM, then New-TzarWorkerVM.'
        if (Test-TzarHResult -Record $_ -Code C03A000E, C03A0019) {
            $times = ''
            if ($Disk -ne $Template -and (Test-Path -LiteralPath $Template)) {
                $times = ' (parent written {0:u}, clone made {1:u})' -f (Get-Item -LiteralPath $Template -Force).LastWriteTimeUtc, (Get-Item -LiteralPath $Disk -Force).CreationTimeUtc
            }
            throw (New-TzarError -Id TzarTemplateChanged -Target $Name -Cause $_.Exception -Message (
                "The parent disk '$Template' has changed since the clone '$Disk' was made$times; it cannot start any more. $cure"))
        }
        if (Test-TzarHResult -Record $_ -Code C03A000D) {
            throw (New-TzarError -Id TzarTemplateMissing -Category ObjectNotFound -Target $Name -Cause $_.Exception -Message (
                "The parent disk of '$Disk' is not where it was. Put it back ($Template). Else: $cure"))
        }
        throw
    }
    if (-not $good) {
        throw (New-TzarError -Id TzarDiskBroken -Target $Name -Message "Hyper-V finds the disk '$Disk' unusable and does not say why. Look with: Test-VHD -Path '$Disk'")
    }
}

function Assert-TzarBootable {
    <#
    .SYNOPSIS
    The look at a VM's template and disks before it boots. Throws what Assert-TzarTemplate and Assert-TzarChain throw, and TzarDiskMissing.
    #>
    param([Parameter(Mandatory)] [object] $Found)
    $name = $Found.Mark.Name
    $disks = @($Found.VM.HardDrives | ForEach-Object { $_.Path } | Where-Object { $_ })
    if (-not $disks.Count -or -not (Test-Path -LiteralPath $disks[0])) {
        throw (New-TzarError -Id TzarDiskMissing -Category ObjectNotFound -Target $name -Message "The VM '$name' has lost its disk $($disks -join ', '). Make it anew: Remove-TzarWorkerVM, then New-TzarWorkerVM.")
    }
    if ($Found.Mark.Parent) { Assert-TzarTemplate -Template $Found.Mark.Parent }
    foreach ($disk in $disks) { Assert-TzarChain -Disk $disk -Template $Found.Mark.Parent -Name $name }
}
