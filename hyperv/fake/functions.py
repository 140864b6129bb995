"""The functions that the fake host knows, by their names in PowerShell."""

from collections.abc import Mapping

from hyperv.fake import making, power, preparing, reach
from hyperv.fake.call import Handler

__all__ = ["HANDLERS"]

HANDLERS: Mapping[str, Handler] = {
    "Checkpoint-TzarWorkerVM": power.checkpoint_vm,
    "Clear-TzarUpload": reach.clear_uploads,
    "Copy-TzarIdentity": reach.copy_identity,
    "Get-TzarRemains": making.list_remains,
    "Get-TzarWorkerLog": reach.read_log,
    "Get-TzarWorkerScreenshot": reach.take_screenshot,
    "Get-TzarWorkerVM": power.list_vms,
    "Initialize-TzarHost": preparing.initialize_host,
    "Invoke-TzarWorkerCommand": reach.run_command,
    "New-TzarWorkerVM": making.new_vms,
    "Remove-TzarHostFile": reach.remove_file,
    "Remove-TzarWorkerVM": making.remove_vm,
    "Restart-TzarWorkerVM": power.restart_vm,
    "Restore-TzarWorkerVM": power.restore_vm,
    "Send-TzarWorkerFile": reach.send_file,
    "Set-TzarWorkerGuest": reach.set_guest,
    "Start-TzarWorkerVM": power.start_vm,
    "Stop-TzarWorkerVM": power.stop_vm,
    "Test-TzarHost": preparing.test_host,
    "Write-TzarHostFile": reach.write_file,
}
