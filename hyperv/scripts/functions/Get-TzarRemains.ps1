function Get-TzarRemains {
    <#
    .SYNOPSIS
    What a crash left half made in a fleet's folder: Name, Path, Detail of each. Remove-TzarWorkerVM -Folder removes it.

    .DESCRIPTION
    A VM that is being made at this moment is among them: ask when nothing is being made.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Folder
    )
    $ErrorActionPreference = 'Stop'
    Assert-TzarPath -Path $Folder -What 'The folder'
    $fleetFolder = Get-TzarFleetFolder -Folder $Folder -Fleet $Fleet
    if (-not (Test-Path -LiteralPath $fleetFolder)) { return }
    $all = @(Get-TzarMarkedVM)
    foreach ($place in @(Get-ChildItem -LiteralPath $fleetFolder -Directory -Force -ErrorAction Stop)) {
        $note = Get-TzarWorkerNote -Folder $place.FullName
        if ($note.Fleet -cne $Fleet) { continue }
        $inside = @($all | Where-Object { Test-TzarSameName $_.VM.Path.TrimEnd('\') $place.FullName -IgnoreCase })
        if (@($inside | Where-Object { $_.Mark }).Count) { continue }
        $what = if ($inside.Count) { "a VM without its mark, $($inside[0].VM.State)" } else { 'a folder without a VM' }
        [pscustomobject]@{ Name = $note.Name; Path = $place.FullName; Detail = $what }
    }
}
