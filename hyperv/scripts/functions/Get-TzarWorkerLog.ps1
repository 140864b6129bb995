function Get-TzarWorkerLog {
    <#
    .SYNOPSIS
    The end of a file in a running guest, such as its agent's log. Puts out Path, Base64; nothing where there is none.

    .DESCRIPTION
    A guest whose heartbeat says that it does not answer is not entered, which could take minutes: TzarNoHeartbeat.
    Throws TzarNotRunning and TzarNoGuestSession too.
    #>
    [CmdletBinding()]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Name,
        [Parameter(Mandatory)] [string] $User,
        [Parameter(Mandatory)] [AllowEmptyString()] [string] $Password,
        [Parameter(Mandatory)] [ValidatePattern('^[A-Za-z]:\\.')] [string] $Path,
        [ValidateRange(1, 4194304)] [int] $LimitBytes = 65536
    )
    $ErrorActionPreference = 'Stop'
    $found = Find-TzarVM -Fleet $Fleet -Name $Name
    Assert-TzarRunning -Found $found
    $heartbeat = "$($found.VM.Heartbeat)"
    if ($heartbeat -in 'NoContact', 'LostCommunication') {
        throw (New-TzarError -Id TzarNoHeartbeat -Category DeviceError -Target $Name -Message "The guest of '$Name' does not answer (heartbeat $heartbeat), so nothing can be read there. Look at its screen.")
    }
    $session = Open-TzarGuest -Found $found -User $User -Password $Password
    try {
        $answer = Invoke-Command -Session $session -ErrorAction Stop -ArgumentList $Path, $LimitBytes -ScriptBlock {
            param($path, $most)
            $ErrorActionPreference = 'Stop'
            if (-not (Test-Path -LiteralPath $path -PathType Leaf)) { return @{ Base64 = $null } }
            # Whoever writes it goes on, and may rename it meanwhile.
            $stream = [System.IO.File]::Open($path, 'Open', 'Read', 'ReadWrite, Delete')
            try {
                if ($stream.Length -gt $most) { $null = $stream.Seek(-$most, 'End') }
                $bytes = New-Object -TypeName byte[] -ArgumentList ([int] [math]::Min($stream.Length, $most))
                $at = 0
                while ($at -lt $bytes.Length -and ($got = $stream.Read($bytes, $at, $bytes.Length - $at)) -gt 0) { $at += $got }
                @{ Base64 = [Convert]::ToBase64String($bytes, 0, $at) }
            }
            finally { $stream.Dispose() }
        }
    }
    finally { Remove-PSSession -Session $session }
    if ($null -ne $answer.Base64) { [pscustomobject]@{ Path = $Path; Base64 = "$($answer.Base64)" } }
}
