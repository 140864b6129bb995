# Functions that the tests of the lane call. Get-* change nothing, so that they may be asked again of a new PowerShell.

function Get-Echo {
    [CmdletBinding()]
    param($Value, [switch] $On)
    [pscustomobject]@{ Value = $Value; On = [bool] $On; Given = @($PSBoundParameters.Keys | Sort-Object) }
}

function Get-Lengths { param([string[]] $Texts) foreach ($text in $Texts) { $text.Length } }

function Get-Text { param([int] $Length) 'x' * $Length }

function Get-Pid { $PID }

function Get-Names { foreach ($vm in Hyper-V\Get-VM) { [pscustomobject]@{ Name = $vm.Name } } }

function Add-Mark {
    # Leaves a mark in a file, so that it shows how often this was done; then takes its time.
    param([string] $Path, [double] $Seconds = 0)
    Add-Content -LiteralPath $Path -Value 'done'
    if ($Seconds) { Start-Sleep -Milliseconds ([int] ($Seconds * 1000)) }
    [pscustomobject]@{ Marks = @(Get-Content -LiteralPath $Path).Count }
}

function Get-Noise {
    [CmdletBinding()]
    param()
    Write-Host 'TZAR-REPLY:on the host'
    Write-Host 'without an end' -NoNewline
    Write-Warning 'mind this'
    Write-Verbose 'verbose' -Verbose
    Write-Debug 'debug'
    Write-Information 'information' -InformationAction Continue
    Write-Progress -Activity 'progress' -PercentComplete 50
    [Console]::Out.WriteLine('console')
    [Console]::Error.WriteLine('console error')
    $raw = [Text.Encoding]::ASCII.GetBytes("raw line`r`nraw without an end")
    $output = [Console]::OpenStandardOutput()
    $output.Write($raw, 0, $raw.Length)
    $output.Flush()
    Get-Item C:\not\there -ErrorAction Continue
    'quiet'
}

function Get-Question { Read-Host 'Are you sure' }

function Get-Line { $line = [Console]::ReadLine(); [pscustomobject]@{ IsNothing = $null -eq $line } }

function Get-Nothing { }

function Stop-Loop { exit 7 }

function Get-Break { 'before'; break }

function Get-Failure {
    [CmdletBinding()]
    param([string] $Kind, [string] $Password)
    switch ($Kind) {
        cmdlet { Hyper-V\Get-VM -Name 'nobody' }
        method { [IO.File]::ReadAllText('C:\not\there') }
        code {
            $record = New-Object Management.Automation.ErrorRecord (New-Object InvalidOperationException 'it is not off'), 'TzarNotOff', 'InvalidOperation', 'tzar-01'
            $PSCmdlet.ThrowTerminatingError($record)
        }
        thrown { throw "the password is $Password" }
    }
}
