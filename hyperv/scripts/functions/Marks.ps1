# The mark: a line in a VM's Notes that says whose it is. What has no mark is never touched.

function Get-TzarMark {
    <#
    .SYNOPSIS
    What the first mark in a VM's Notes says: Fleet, Name, Incarnation, Parent; nothing when there is none.
    #>
    param([string] $Notes)
    $found = (Get-TzarMarkPattern).Match($Notes)
    if ($found.Success) {
        $parts = $found.Groups
        [pscustomobject]@{ Fleet = $parts[1].Value; Name = $parts[2].Value; Incarnation = [int] $parts[3].Value; Parent = $parts[4].Value }
    }
}

function Get-TzarMarkPattern {
    <#
    .SYNOPSIS
    What a mark is in Notes: fleet, name, incarnation, and the parent, which the first line of its kind after the mark's says.
    #>
    param()
    [regex] '(?m)^tzar-actors fleet=([0-9a-f]{32}) vm=([^\r\n]+) incarnation=([0-9]{1,9})[^\S\n]*$(?:[\s\S]*?^tzar-actors parent=([^\r\n]+?)[^\S\n]*$)?'
}

function Format-TzarNotes {
    <#
    .SYNOPSIS
    Notes with this mark on top, and with the lines that people wrote as they are.
    #>
    param(
        [string] $Notes,
        [Parameter(Mandatory)] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Name,
        [Parameter(Mandatory)] [int] $Incarnation,
        [string] $Parent
    )
    $lines = @("tzar-actors fleet=$Fleet vm=$Name incarnation=$Incarnation")
    if ($Parent) { $lines += "tzar-actors parent=$Parent" }
    if ($Notes) { $lines += @($Notes -split '\r?\n' | Where-Object { $_ -cnotmatch '^tzar-actors (fleet|parent)=' }) }
    $lines -join "`r`n"
}

function Test-TzarSameName {
    <#
    .SYNOPSIS
    Whether two names are the same, character by character: PowerShell's -ceq takes more than that for equal.
    #>
    param([string] $Left, [string] $Right, [switch] $IgnoreCase)
    $how = if ($IgnoreCase) { [StringComparison]::OrdinalIgnoreCase } else { [StringComparison]::Ordinal }
    [string]::Equals($Left, $Right, $how)
}

$script:TzarForgets = $null  # whether the module can be made to read anew; asked when it is loaded anyway

function Get-TzarHostVM {
    <#
    .SYNOPSIS
    The host's VMs, or the one with this id, as they are now.

    .DESCRIPTION
    The module of Hyper-V believes for five seconds what it read of a VM (state, notes, heartbeat, checkpoints), each
    PowerShell for itself, and a lane's lives long: another one may have started the VM meanwhile. Enable-VMEventing
    makes it read anew.
    #>
    param([guid] $Id)
    if ($null -eq $script:TzarForgets) {
        $script:TzarForgets = [bool] (Get-Command -Name 'Hyper-V\Enable-VMEventing' -ErrorAction Ignore)
    }
    if ($script:TzarForgets) { Hyper-V\Enable-VMEventing -Force -Confirm:$false -WhatIf:$false -ErrorAction Stop }
    Hyper-V\Get-VM @PSBoundParameters -ErrorAction Stop
}

function Get-TzarMarkedVM {
    <#
    .SYNOPSIS
    The host's VMs, each with its mark: VM, Mark (null without one). One call of Get-VM, and no wildcard anywhere.

    .DESCRIPTION
    Throws TzarNoService when Hyper-V's service does not answer: Get-VM then says that an object was not found. It may
    say the same to an account without rights, and for another reason that the server cannot be reached: TzarNoRights.
    #>
    param()
    $all = $null
    foreach ($try in 1..3) {
        try { $all = @(Get-TzarHostVM); break }
        catch {
            $isNotFound = $_.FullyQualifiedErrorId -like 'ObjectNotFound,*'
            if ((Test-TzarServerRefusal -Record $_) -or ($isNotFound -and (Test-TzarWithoutRights))) {
                throw (New-TzarError -Id TzarNoRights -Category PermissionDenied -Cause $_.Exception -Message "Hyper-V does not let the account in ($($_.Exception.Message)).")
            }
            if (-not $isNotFound) { throw }
            # The same is said of a VM that was removed while they were listed, but not again and again.
            if ($try -eq 3) {
                throw (New-TzarError -Id TzarNoService -Category ResourceUnavailable -Cause $_.Exception -Message "Hyper-V's service does not answer ($($_.Exception.Message)).")
            }
            Start-Sleep -Milliseconds 100
        }
    }
    # As Get-TzarMark, in place: a function's call for each VM would take longer than all else of a status.
    $pattern = Get-TzarMarkPattern
    foreach ($vm in $all) {
        $mark = $null
        $found = $pattern.Match("$($vm.Notes)")
        if ($found.Success) {
            $parts = $found.Groups
            $mark = [pscustomobject]@{ Fleet = $parts[1].Value; Name = $parts[2].Value; Incarnation = [int] $parts[3].Value; Parent = $parts[4].Value }
        }
        [pscustomobject]@{ VM = $vm; Mark = $mark }
    }
}

function Test-TzarServerRefusal {
    <#
    .SYNOPSIS
    Whether an error says that Hyper-V's server cannot be talked to: its id is a general one, and its text is translated.
    #>
    param([Parameter(Mandatory)] [System.Management.Automation.ErrorRecord] $Record)
    for ($cause = $Record.Exception; $cause; $cause = $cause.InnerException) {
        if ($cause.GetType().Name -eq 'ServerConnectionException') { return $true }
    }
    $false
}

function Get-TzarGroup {
    <#
    .SYNOPSIS
    Which of the groups that may manage Hyper-V the account is in, by their SIDs: Administrators, Hyper-V Administrators.
    #>
    param()
    @([System.Security.Principal.WindowsIdentity]::GetCurrent().Groups | ForEach-Object { $_.Value }) | Where-Object { $_ -in 'S-1-5-32-544', 'S-1-5-32-578' }
}

function Test-TzarWithoutRights {
    <#
    .SYNOPSIS
    Whether the account is known to be in neither group.
    #>
    param()
    try { -not @(Get-TzarGroup).Count } catch { $false }  # that cannot be read everywhere
}

function Get-TzarCheckpointList {
    <#
    .SYNOPSIS
    The checkpoints of these VMs (as Get-TzarMarkedVM gives them), in one call, and those of the VMs that are there: VMs, Checkpoints.

    .DESCRIPTION
    Another lane may remove a VM between the two calls. It is left out then; any other error is thrown.
    #>
    param([AllowEmptyCollection()] [object[]] $Among)
    $left = @($Among)
    for ($try = 1; $left.Count; $try++) {
        try {
            $checkpoints = @(Hyper-V\Get-VMSnapshot -VM @($left | ForEach-Object { $_.VM }) -ErrorAction Stop)
            return [pscustomobject]@{ VMs = $left; Checkpoints = $checkpoints }
        }
        catch {
            $failure = $_
            $there = @(Get-TzarHostVM | ForEach-Object { "$($_.Id)" })
            $before = $left.Count
            $left = @($left | Where-Object { "$($_.VM.Id)" -in $there })
            if ($left.Count -eq $before -or $try -ge 5) { throw $failure }
        }
    }
    [pscustomobject]@{ VMs = @(); Checkpoints = @() }
}

function Select-TzarVM {
    <#
    .SYNOPSIS
    Of such VMs the one that is this fleet's VM of this name, or nothing.

    .DESCRIPTION
    Throws TzarForeignVM when the name is another's, and TzarTwoVMs when two bear the same mark.
    #>
    param([object[]] $Among, [Parameter(Mandatory)] [string] $Fleet, [Parameter(Mandatory)] [string] $Name)
    $found = @(foreach ($one in $Among) { if ($one.Mark -and $one.Mark.Fleet -ceq $Fleet -and [string]::Equals($one.Mark.Name, $Name)) { $one } })
    if ($found.Count -gt 1) {
        $ids = @($found | ForEach-Object { "$($_.VM.Id)" }) -join ', '
        throw (New-TzarError -Id TzarTwoVMs -Target $Name -Message (
            "Two VMs bear the mark of '$Name': $ids. One is a copy; nothing was done to either. Remove the mark from the Notes of the copy."))
    }
    if ($found.Count -eq 1) { return $found[0] }
    foreach ($other in $Among) {
        if ($other.Mark -and $other.Mark.Fleet -ceq $Fleet) { continue }
        if (-not [string]::Equals($other.VM.Name, $Name, [StringComparison]::OrdinalIgnoreCase)) { continue }
        if (Test-TzarHalfMade -One $other -Fleet $Fleet) { continue }
        $whose = if ($other.Mark) { "it bears the mark of '$($other.Mark.Name)' in fleet $($other.Mark.Fleet)" } else { 'it bears no mark' }
        throw (New-TzarError -Id TzarForeignVM -Category PermissionDenied -Target $Name -Message (
            "There is a VM '$($other.VM.Name)' ($($other.VM.Id)) that this fleet did not make: $whose. It was not touched. Rename it, or remove it by hand."))
    }
}

function Find-TzarVM {
    <#
    .SYNOPSIS
    This fleet's VM of this name, with its mark. Throws TzarNoSuchVM, TzarForeignVM, TzarTwoVMs.
    #>
    param([Parameter(Mandatory)] [string] $Fleet, [Parameter(Mandatory)] [string] $Name)
    $found = Select-TzarVM -Among @(Get-TzarMarkedVM) -Fleet $Fleet -Name $Name
    if (-not $found) {
        throw (New-TzarError -Id TzarNoSuchVM -Category ObjectNotFound -Target $Name -Message "There is no VM '$Name' of this fleet on this host. Make it with New-TzarWorkerVM.")
    }
    $found
}

function Set-TzarIncarnation {
    <#
    .SYNOPSIS
    Writes the number of the coming boot into the mark. Zero means: one more than the mark has. Returns the number.
    #>
    param([Parameter(Mandatory)] [object] $Found, [int] $Incarnation)
    $mark = $Found.Mark
    if ($Incarnation -eq 0) { $Incarnation = $mark.Incarnation + 1 }
    # The Notes are read again: a checkpoint that was restored brought back its own.
    $notes = (Get-TzarHostVM -Id $Found.VM.Id).Notes
    $new = Format-TzarNotes -Notes $notes -Fleet $mark.Fleet -Name $mark.Name -Incarnation $Incarnation -Parent $mark.Parent
    if ($new -cne $notes) { Hyper-V\Set-VM -VM $Found.VM -Notes $new -ErrorAction Stop }
    $Incarnation
}

function Get-TzarSummary {
    <#
    .SYNOPSIS
    What the verbs put out of a VM: Name, Id, State, Incarnation, as they are now.
    #>
    param([Parameter(Mandatory)] [guid] $Id)
    $vm = Get-TzarHostVM -Id $Id
    $mark = Get-TzarMark -Notes $vm.Notes
    [pscustomobject]@{ Name = $mark.Name; Id = "$($vm.Id)"; State = "$($vm.State)"; Incarnation = $mark.Incarnation }
}
