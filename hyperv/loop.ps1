# The loop of a lane: the one PowerShell that a lane keeps running on a Hyper-V host.
#
# A request is a line on standard input, a reply a line on standard output, each base64 of JSON in UTF-8, so that no
# code page and no line of somebody else's can spoil it. A request either defines functions (once, when the lane opens)
# or calls one of them with named parameters: text from a request is never evaluated. Replies are kept for a while by
# the operation's id: a request whose reply was lost is asked again, and not done again.
#
# Every name here begins with "loop": functions that are called see the variables of their callers.

function ConvertTo-TzarLoopError {
    <# .SYNOPSIS What the other end needs to know of an error record, as plain values. #>
    param([Parameter(Mandatory = $true)] [Management.Automation.ErrorRecord] $Record)
    $loopException = $Record.Exception
    # What a .NET method threw is wrapped; the wrapper's own HRESULT says nothing.
    while ($loopException -is [Management.Automation.MethodInvocationException] -and $loopException.InnerException) {
        $loopException = $loopException.InnerException
    }
    $loopMessage = $loopException.Message
    if ($Record.ErrorDetails -and $Record.ErrorDetails.Message) { $loopMessage = $Record.ErrorDetails.Message }
    $loopId = "$($Record.FullyQualifiedErrorId)"
    $loopCode = ''
    if ($loopId -clike 'Tzar*') { $loopCode = ($loopId -split ',')[0] }
    $loopCmdlet = ''
    if ($Record.InvocationInfo -and $Record.InvocationInfo.MyCommand) { $loopCmdlet = "$($Record.InvocationInfo.MyCommand.Name)" }
    $loopTarget = "$($Record.TargetObject)"
    if ($loopTarget.Length -gt 300) { $loopTarget = $loopTarget.Substring(0, 300) }
    @{
        message = "$loopMessage"; id = $loopId; category = "$($Record.CategoryInfo.Category)"
        exception = $loopException.GetType().FullName; hresult = [int] $loopException.HResult
        cmdlet = $loopCmdlet; target = $loopTarget; code = $loopCode
    }
}

function New-TzarLoopError {
    <# .SYNOPSIS An error of the loop itself, in the shape of any other. #>
    param([Parameter(Mandatory = $true)] [string] $Code, [Parameter(Mandatory = $true)] [string] $Message)
    @{ message = $Message; id = $Code; category = 'InvalidOperation'; exception = ''; hresult = 0; cmdlet = ''; target = ''; code = $Code }
}

function Start-TzarLoop {
    <# .SYNOPSIS Answers requests until standard input ends. #>
    param([Parameter(Mandatory = $true)] [IO.TextReader] $LoopInput)

    $ErrorActionPreference = 'Stop'
    $ConfirmPreference = 'None'
    $WarningPreference = 'Continue'  # they go into the reply; everything else that is only said is not even made
    $ProgressPreference = $VerbosePreference = $DebugPreference = $InformationPreference = 'SilentlyContinue'
    $loopPrefix = 'TZAR-REPLY:'
    $loopUtf8 = New-Object Text.UTF8Encoding $false
    $loopOutput = [Console]::OpenStandardOutput()
    # Whatever is called neither reads requests nor writes between replies.
    [Console]::SetIn([IO.TextReader]::Null)
    [Console]::SetOut([IO.TextWriter]::Null)
    $loopFunctions = @{}
    $loopReplies = New-Object Collections.Specialized.OrderedDictionary

    while ($null -ne ($loopLine = $LoopInput.ReadLine())) {
        if (-not $loopLine) { continue }
        $loopRequest = $null
        try { $loopRequest = ConvertFrom-Json -InputObject $loopUtf8.GetString([Convert]::FromBase64String($loopLine)) } catch { $loopRequest = $null }
        $loopId = ''
        if ($loopRequest) { $loopId = "$($loopRequest.id)" }
        $loopBytes = $null
        if ($loopId -and $loopReplies.Contains($loopId)) { $loopBytes = $loopReplies[$loopId] }
        if (-not $loopBytes) {
            $loopValue = New-Object Collections.Generic.List[object]
            $loopSaid = New-Object Collections.Generic.List[string]
            $loopError = $null
            try {
                if (-not $loopId) {
                    $loopError = New-TzarLoopError 'TzarGarbled' 'a request could not be read'
                } elseif ($loopRequest.define) {
                    foreach ($loopSource in $loopRequest.define) {
                        $loopBlock = [scriptblock]::Create($loopSource)
                        . $loopBlock
                        foreach ($loopStatement in $loopBlock.Ast.EndBlock.Statements) {
                            if ($loopStatement -is [Management.Automation.Language.FunctionDefinitionAst]) {
                                $loopFunctions[$loopStatement.Name] = Get-Command -Name $loopStatement.Name -CommandType Function
                            }
                        }
                    }
                } elseif (-not $loopFunctions.ContainsKey("$($loopRequest.call)")) {
                    $loopError = New-TzarLoopError 'TzarUnknownFunction' "there is no function $($loopRequest.call) in this lane"
                } else {
                    $loopWith = @{}
                    foreach ($loopParameter in $loopRequest.with.PSObject.Properties) {
                        if ($null -ne $loopParameter.Value) { $loopWith[$loopParameter.Name] = $loopParameter.Value }
                    }
                    $loopFunction = $loopFunctions["$($loopRequest.call)"]
                    $loopIsDone = $false
                    # The inner loop takes a stray `break` or `continue` of what is called; it would end this one.
                    # Errors are not redirected: 5.1 would make a terminating error of a native program's stderr.
                    do {
                        & $loopFunction @loopWith 3>&1 4>&1 5>&1 6>&1 | ForEach-Object {
                            if ($_ -is [Management.Automation.InformationalRecord] -or $_ -is [Management.Automation.InformationRecord]) {
                                if ($loopSaid.Count -lt 20) { $loopSaid.Add("$_") }
                            } else {
                                $loopValue.Add($_)
                            }
                        }
                        $loopIsDone = $true
                    } while ($false)
                    if (-not $loopIsDone) {
                        $loopError = New-TzarLoopError 'TzarLeftEarly' "$($loopRequest.call) was left by a break or continue outside a loop"
                    }
                }
            } catch {
                $loopError = ConvertTo-TzarLoopError $_
            }
            $loopReply = @{ id = $loopId; ok = $true; value = $loopValue.ToArray(); said = $loopSaid.ToArray() }
            if ($loopError) { $loopReply = @{ id = $loopId; ok = $false; error = $loopError; said = $loopSaid.ToArray() } }
            try {
                $loopJson = ConvertTo-Json -InputObject $loopReply -Depth 8 -Compress
            } catch {
                $loopJson = ConvertTo-Json -InputObject @{ id = $loopId; ok = $false; error = (ConvertTo-TzarLoopError $_); said = @() } -Depth 8 -Compress
            }
            # A line of its own, whatever stands before it.
            $loopBytes = [Text.Encoding]::ASCII.GetBytes("`n" + $loopPrefix + [Convert]::ToBase64String($loopUtf8.GetBytes($loopJson)) + "`n")
            if ($loopId) {
                $loopReplies[$loopId] = $loopBytes
                if ($loopReplies.Count -gt 8) { $loopReplies.RemoveAt(0) }
            }
        }
        $loopOutput.Write($loopBytes, 0, $loopBytes.Length)
        $loopOutput.Flush()
    }
}
