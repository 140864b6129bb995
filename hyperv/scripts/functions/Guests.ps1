# Into a running guest without network: PowerShell Direct.

function Open-TzarGuest {
    <#
    .SYNOPSIS
    A PowerShell Direct session with a VM, found by its id. The caller removes it.

    .DESCRIPTION
    The password comes as data, is bound to no other command, and is in no error.
    #>
    param([Parameter(Mandatory)] [object] $Found, [Parameter(Mandatory)] [string] $User, [Parameter(Mandatory)] [AllowEmptyString()] [string] $Password)
    Assert-TzarRunning -Found $Found
    $secret = New-Object -TypeName System.Security.SecureString
    foreach ($character in $Password.ToCharArray()) { $secret.AppendChar($character) }
    $credential = New-Object -TypeName System.Management.Automation.PSCredential -ArgumentList $User, $secret
    try { New-PSSession -VMId $Found.VM.Id -Credential $credential -ErrorAction Stop }
    catch {
        throw (New-TzarError -Id TzarNoGuestSession -Category ConnectionError -Target $Found.Mark.Name -Cause $_.Exception -Message (
            "PowerShell Direct into '$($Found.Mark.Name)' as '$User' failed: $($_.Exception.Message) Check that the guest has booted, its user and password, and that host and template have the same updates of Windows."))
    }
}

function ConvertTo-TzarCommandLine {
    <#
    .SYNOPSIS
    One text of these arguments, quoted so that a program reads back just these (the rules of CommandLineToArgvW).
    #>
    param([AllowEmptyCollection()] [AllowEmptyString()] [string[]] $Argument)
    @(foreach ($one in $Argument) {
            if ($one -and $one -notmatch '[\s"]') { $one; continue }
            '"' + (($one -replace '(\\*)"', '$1$1\"') -replace '(\\+)$', '$1$1') + '"'
        }) -join ' '
}

function Invoke-TzarWorkerCommand {
    <#
    .SYNOPSIS
    Runs a program in a running guest. Puts out ExitCode, Stdout, Stderr (base64), TimedOut.

    .DESCRIPTION
    After -TimeoutSeconds it is ended with all processes that it started. Of each output the last 4 MiB are returned.
    Throws TzarNotRunning, TzarNoGuestSession, and TzarNoProgram when the program cannot be started.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Name,
        [Parameter(Mandatory)] [string] $User,
        [Parameter(Mandatory)] [AllowEmptyString()] [string] $Password,
        [Parameter(Mandatory)] [ValidateCount(1, 1000)] [AllowEmptyString()] [string[]] $Argv,
        [ValidateRange(0.1, 86400)] [double] $TimeoutSeconds = 60,
        [string] $WorkingDirectory = 'C:\'
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    $found = Find-TzarVM -Fleet $Fleet -Name $Name
    if (-not $PSCmdlet.ShouldProcess($Name, "run '$($Argv[0])' in the guest")) { return }
    $line = if ($Argv.Count -gt 1) { ConvertTo-TzarCommandLine -Argument $Argv[1..($Argv.Count - 1)] } else { '' }
    $session = Open-TzarGuest -Found $found -User $User -Password $Password
    try {
        $answer = Invoke-Command -Session $session -ErrorAction Stop -ArgumentList $Argv[0], $line, $WorkingDirectory, ([int] ($TimeoutSeconds * 1000)) -ScriptBlock {
            param($program, $line, $folder, $milliseconds)
            $ErrorActionPreference = 'Stop'
            $ProgressPreference = 'SilentlyContinue'
            $stem = "$env:TEMP\tzar-" + [guid]::NewGuid().ToString('N')
            $read = {
                param($path)
                if (-not (Test-Path -LiteralPath $path)) { return '' }
                $stream = [System.IO.File]::Open($path, 'Open', 'Read', 'ReadWrite')
                try {
                    $most = 4MB
                    if ($stream.Length -gt $most) { $null = $stream.Seek(-$most, 'End') }
                    $bytes = New-Object -TypeName byte[] -ArgumentList ([math]::Min($stream.Length, $most))
                    $at = 0
                    while ($at -lt $bytes.Length -and ($got = $stream.Read($bytes, $at, $bytes.Length - $at)) -gt 0) { $at += $got }
                    [Convert]::ToBase64String($bytes, 0, $at)
                }
                finally { $stream.Dispose() }
            }
            try {
                # An empty file to read from: what asks a question gets an end of file, not the session's input.
                $null = New-Item -ItemType File -Path "$stem.in" -Force
                $start = @{
                    FilePath = $program; WorkingDirectory = $folder; PassThru = $true; NoNewWindow = $true
                    RedirectStandardInput = "$stem.in"; RedirectStandardOutput = "$stem.out"; RedirectStandardError = "$stem.err"
                }
                if ($line) { $start.ArgumentList = $line }
                try { $process = Start-Process @start }
                catch { return @{ Problem = "$($_.Exception.Message)" } }
                # Without its handle a process does not tell its exit code in Windows PowerShell.
                $null = $process.Handle
                $ended = $process.WaitForExit($milliseconds)
                if (-not $ended) {
                    # Under Stop a native program's standard error would end this script in Windows PowerShell.
                    $null = & { $ErrorActionPreference = 'SilentlyContinue'; & taskkill.exe /PID $process.Id /T /F 2>&1 }
                    $null = $process.WaitForExit(5000)
                }
                $code = if ($ended) { $process.ExitCode } else { -1 }
                @{
                    Problem = ''; TimedOut = -not $ended; ExitCode = $code
                    Stdout = (& $read "$stem.out"); Stderr = (& $read "$stem.err")
                }
            }
            finally { Remove-Item -Path "$stem.in", "$stem.out", "$stem.err" -Force -ErrorAction SilentlyContinue }
        }
    }
    finally { Remove-PSSession -Session $session }
    if ($answer.Problem) {
        throw (New-TzarError -Id TzarNoProgram -Category ObjectNotFound -Target $Name -Message "'$($Argv[0])' could not be started in '$Name', in '$WorkingDirectory': $($answer.Problem)")
    }
    # A process that ends at once may be gone before its handle is there, and null would become 0, a success.
    if ($null -eq $answer.ExitCode) {
        throw (New-TzarError -Id TzarNoExitCode -Target $Name -Message "'$($Argv[0])' ended in '$Name', and so soon that its exit code is lost. Run it by a program that waits, as in: cmd /c.")
    }
    [pscustomobject]@{ ExitCode = [int] $answer.ExitCode; Stdout = "$($answer.Stdout)"; Stderr = "$($answer.Stderr)"; TimedOut = [bool] $answer.TimedOut }
}

function Send-TzarWorkerFile {
    <#
    .SYNOPSIS
    Copies a file of the host into a running guest. It appears as -Target only when its SHA-256 is right there.

    .DESCRIPTION
    Throws TzarHashDiffers when it is not, and leaves what was there before. Puts out Target, Length, Sha256.
    #>
    [CmdletBinding(SupportsShouldProcess)]
    param(
        [Parameter(Mandatory)] [ValidatePattern('^[0-9a-f]{32}$')] [string] $Fleet,
        [Parameter(Mandatory)] [string] $Name,
        [Parameter(Mandatory)] [string] $User,
        [Parameter(Mandatory)] [AllowEmptyString()] [string] $Password,
        [Parameter(Mandatory)] [string] $Source,
        [Parameter(Mandatory)] [ValidatePattern('^[A-Za-z]:\\.')] [string] $Target,
        [Parameter(Mandatory)] [ValidatePattern('^[0-9A-Fa-f]{64}$')] [string] $Sha256
    )
    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    # Progress of Copy-Item -ToSession costs more than the copy.
    $ProgressPreference = 'SilentlyContinue'
    $found = Find-TzarVM -Fleet $Fleet -Name $Name
    if (-not (Test-Path -LiteralPath $Source -PathType Leaf)) {
        throw (New-TzarError -Id TzarNoFile -Category ObjectNotFound -Target $Name -Message "There is no file '$Source' on the host to be sent to '$Name'.")
    }
    if (-not $PSCmdlet.ShouldProcess($Name, "send '$Source' as '$Target'")) { return }
    $session = Open-TzarGuest -Found $found -User $User -Password $Password
    try {
        $partial = Invoke-Command -Session $session -ErrorAction Stop -ArgumentList $Target -ScriptBlock {
            param($target)
            $ErrorActionPreference = 'Stop'
            $folder = $target.Substring(0, $target.LastIndexOf('\') + 1)
            if (-not (Test-Path -LiteralPath $folder)) { $null = New-Item -ItemType Directory -Path $folder -Force }
            $folder + 'tzar-' + [guid]::NewGuid().ToString('N') + '.partial'
        }
        Copy-Item -LiteralPath $Source -Destination "$partial" -ToSession $session -ErrorAction Stop
        $answer = Invoke-Command -Session $session -ErrorAction Stop -ArgumentList "$partial", $Target, $Sha256 -ScriptBlock {
            param($partial, $target, $sha256)
            $ErrorActionPreference = 'Stop'
            try {
                $has = (Get-FileHash -LiteralPath $partial -Algorithm SHA256).Hash
                $length = (Get-Item -LiteralPath $partial -Force).Length
                if ($has -eq $sha256) { Move-Item -LiteralPath $partial -Destination $target -Force }
                @{ Sha256 = $has; Length = $length }
            }
            finally { if (Test-Path -LiteralPath $partial) { Remove-Item -LiteralPath $partial -Force } }
        }
    }
    finally { Remove-PSSession -Session $session }
    if ("$($answer.Sha256)" -ne $Sha256) {
        throw (New-TzarError -Id TzarHashDiffers -Category InvalidData -Target $Name -Message (
            "'$Source' came to '$Name' with SHA-256 $($answer.Sha256), not $Sha256; '$Target' is as it was. Send it again, and look whether the source is whole."))
    }
    [pscustomobject]@{ Target = $Target; Length = [long] $answer.Length; Sha256 = "$($answer.Sha256)".ToLowerInvariant() }
}
