function Get-TzarWorkerScreenshot {
    <#
    .SYNOPSIS
    What a running VM's console shows, scaled: Width, Height, Rgb565 (base64; two bytes a pixel, low byte first, row by row).
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Name,
        [ValidateRange(16, 4096)] [int] $Width = 1280,
        [ValidateRange(16, 4096)] [int] $Height = 720
    )
    $ErrorActionPreference = 'Stop'
    $found = Find-TzarVM -Fleet $Fleet -Name $Name
    Assert-TzarRunning -Found $found
    $space = 'root/virtualization/v2'
    $id = "$($found.VM.Id)".ToUpperInvariant()
    $service = Get-CimInstance -Namespace $space -ClassName Msvm_VirtualSystemManagementService -ErrorAction Stop
    $machine = Get-CimInstance -Namespace $space -ClassName Msvm_ComputerSystem -Filter "Name='$id'" -ErrorAction Stop
    $settings = Get-CimAssociatedInstance -InputObject $machine -ResultClassName Msvm_VirtualSystemSettingData -Association Msvm_SettingsDefineState -ErrorAction Stop
    # The sizes must be uint16: an int is a type mismatch.
    $wanted = @{ TargetSystem = $settings; WidthPixels = [uint16] $Width; HeightPixels = [uint16] $Height }
    $image = Invoke-CimMethod -InputObject $service -MethodName GetVirtualSystemThumbnailImage -Arguments $wanted -ErrorAction Stop
    $has = if ($image.ReturnValue -eq 0) { @($image.ImageData).Count } else { 0 }
    if ($has -ne 2 * $Width * $Height) {
        throw (New-TzarError -Id TzarNoScreen -Target $Name -Message "The screen of '$Name' could not be seen: GetVirtualSystemThumbnailImage returned $($image.ReturnValue) and $has bytes, not $(2 * $Width * $Height). Try again when it has booted.")
    }
    [pscustomobject]@{ Width = $Width; Height = $Height; Rgb565 = [Convert]::ToBase64String([byte[]] $image.ImageData) }
}
