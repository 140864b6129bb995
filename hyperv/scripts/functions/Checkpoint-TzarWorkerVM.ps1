function Checkpoint-TzarWorkerVM {
    <#
    .SYNOPSIS
    Saves a worker VM's state under a name: with its memory if it runs, else its disk alone.

    .DESCRIPTION
    Throws TzarCheckpointExists when the name is taken; with -SkipExisting the checkpoint that has it is put out.
    Puts out Name (the VM's), CheckpointName, Id, CreatedAt, WithMemory.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Name,
        [Parameter(Mandatory)] [ValidateLength(1, 100)] [string] $CheckpointName,
        [switch] $SkipExisting
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    $found = Find-TzarVM -Fleet $Fleet -Name $Name
    $there = Select-TzarCheckpoint -Found $found -CheckpointName $CheckpointName
    if ($there) {
        if ($SkipExisting) {
            Write-Warning "'$Name' has a checkpoint '$CheckpointName' of $($there.CreationTime); no other was made."
            return Format-TzarCheckpoint -Found $found -Checkpoint $there
        }
        throw (New-TzarError -Id TzarCheckpointExists -Category ResourceExists -Target $Name -Message (
            "The VM '$Name' has a checkpoint '$CheckpointName' of $($there.CreationTime) already. Choose another name, or remove that one."))
    }
    if (-not $PSCmdlet.ShouldProcess($Name, "make the checkpoint '$CheckpointName'")) { return }
    # People may have changed it since the VM was made; a production checkpoint holds no memory.
    if ("$($found.VM.CheckpointType)" -ne 'Standard') { Hyper-V\Set-VM -VM $found.VM -CheckpointType Standard -ErrorAction Stop }
    $made = Hyper-V\Checkpoint-VM -VM $found.VM -SnapshotName $CheckpointName -Passthru -ErrorAction Stop
    Format-TzarCheckpoint -Found $found -Checkpoint $made
}

function Select-TzarCheckpoint {
    <#
    .SYNOPSIS
    A VM's newest checkpoint of this name, or nothing.
    #>
    param([Parameter(Mandatory)] [object] $Found, [Parameter(Mandatory)] [string] $CheckpointName)
    @(Hyper-V\Get-VMSnapshot -VM $Found.VM -ErrorAction Stop) | Where-Object { Test-TzarSameName $_.Name $CheckpointName } |
        Sort-Object -Property CreationTime | Select-Object -Last 1
}

function Format-TzarCheckpoint {
    <#
    .SYNOPSIS
    What is put out of a checkpoint.
    #>
    param([Parameter(Mandatory)] [object] $Found, [Parameter(Mandatory)] [object] $Checkpoint)
    [pscustomobject]@{
        Name = $Found.Mark.Name; CheckpointName = $Checkpoint.Name; Id = "$($Checkpoint.Id)"
        CreatedAt = ConvertTo-TzarUnixTime -Time $Checkpoint.CreationTime; WithMemory = "$($Checkpoint.State)" -eq 'Saved'
    }
}
