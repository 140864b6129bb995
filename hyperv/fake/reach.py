"""The functions that reach into guests, and those for what lies on the host on its way there."""

import base64
import hashlib
import os
import time
import uuid
from pathlib import Path

from hyperv.fake.binding import Given
from hyperv.fake.call import Call, Row, summary
from hyperv.fake.drive import HostFile
from hyperv.fake.guests import locate
from hyperv.fake.hypervisor import Hypervisor, marks_of
from hyperv.fake.machines import FakeVm
from hyperv.fake.marks import Mark, fleet_folder, require_path
from hyperv.fake.records import Record, ScriptError, tzar_error

__all__ = [
    "clear_uploads",
    "copy_identity",
    "read_log",
    "remove_file",
    "run_command",
    "send_file",
    "set_guest",
    "take_screenshot",
    "write_file",
]


def copy_identity(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Copy-TzarIdentity."""
    vm, mark = host.require_running(given["Fleet"], given["Name"])
    if given.what_if:
        return []
    if not host.answers(vm):
        raise tzar_error(
            "TzarNoHeartbeat",
            f"The guest of '{mark.name}' does not take files yet: it still boots, or its guest services do not run.",
            category="DeviceError",
            target=mark.name,
        )
    place = locate(host.disk_of(vm).content, given["Target"])
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f".{place.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(given["Document"].encode())
    new.replace(place)
    return summary(vm)


def read_log(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Get-TzarWorkerLog."""
    vm, mark = host.require_running(given["Fleet"], given["Name"])
    if not host.answers(vm):
        raise tzar_error(
            "TzarNoHeartbeat",
            f"The guest of '{mark.name}' does not answer (heartbeat NoContact), so nothing can be read there. Look at "
            "its screen.",
            category="DeviceError",
            target=mark.name,
        )
    _open_guest(host, given)
    file = locate(host.disk_of(vm).content, given["Path"])
    if not file.is_file():
        return []
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - given["LimitBytes"]))
        end = stream.read(given["LimitBytes"])
    return [{"Path": given["Path"], "Base64": base64.b64encode(end).decode()}]


def run_command(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Invoke-TzarWorkerCommand."""
    vm, mark = _open_guest(host, given)
    if given.what_if:
        return []
    argv, folder, disk = given["Argv"], given["WorkingDirectory"], host.disk_of(vm).content
    try:
        with host.unlocked(call.ended):
            done = host.guests.run(disk, argv, folder, marks_of(mark), given["TimeoutSeconds"])
    except OSError as error:
        raise tzar_error(
            "TzarNoProgram",
            f"'{argv[0]}' could not be started in '{mark.name}', in '{folder}': This command cannot be run due to the "
            f"error: {error.strerror}",
            category="ObjectNotFound",
            target=mark.name,
        ) from error
    return [
        {
            "ExitCode": -1 if done.timed_out else done.exit_code,
            "Stdout": base64.b64encode(done.stdout).decode(),
            "Stderr": base64.b64encode(done.stderr).decode(),
            "TimedOut": done.timed_out,
        }
    ]


def send_file(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Send-TzarWorkerFile."""
    name, source, target = given["Name"], given["Source"], given["Target"]
    host.require(given["Fleet"], name)
    file = host.drive.find(source)
    if file is None:
        raise tzar_error(
            "TzarNoFile",
            f"There is no file '{source}' on the host to be sent to '{name}'.",
            category="ObjectNotFound",
            target=name,
        )
    if given.what_if:
        return []
    vm, _ = _open_guest(host, given)
    content = file.content[:-1] + b"\x00" if host.faults.damages_pushes else file.content
    digest = hashlib.sha256(content).hexdigest()
    if digest != given["Sha256"].lower():
        raise tzar_error(
            "TzarHashDiffers",
            f"'{source}' came to '{name}' with SHA-256 {digest.upper()}, not {given['Sha256']}; '{target}' is as it "
            "was. Send it again, and look whether the source is whole.",
            category="InvalidData",
            target=name,
        )
    _put(locate(host.disk_of(vm).content, target), content)
    return [{"Target": target, "Length": len(content), "Sha256": digest}]


def set_guest(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Set-TzarWorkerGuest."""
    address, path, now = given["Address"], given["TestPath"], given["Time"]
    if given["FromHostClock"]:
        now = time.time()
    if address and not given["PrefixLength"]:
        raise tzar_error(
            "TzarBadAddress",
            f"An address for '{given['Name']}' needs its prefix length, 1 to 32.",
            category="InvalidArgument",
            target=given["Name"],
        )
    if given.what_if:
        host.require(given["Fleet"], given["Name"])
        return []
    vm, _ = _open_guest(host, given)
    off = None
    if now:
        off = round(time.time() + vm.clock_off_s - now, 3)
        if abs(off) > 0.5:
            vm.clock_off_s -= off
    if address:
        vm.address = (address, given["PrefixLength"], given["Gateway"])
    exists = locate(host.disk_of(vm).content, path).exists() if path else None
    return [{"Address": address, "ClockWasOffSeconds": off, "PathExists": exists}]


def take_screenshot(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Get-TzarWorkerScreenshot: red grows to the right and blue downwards."""
    host.require_running(given["Fleet"], given["Name"])
    width, height = given["Width"], given["Height"]
    rows = (
        b"".join((31 * x // (width - 1) << 11 | 31 * y // (height - 1)).to_bytes(2, "little") for x in range(width))
        for y in range(height)
    )
    return [{"Width": width, "Height": height, "Rgb565": base64.b64encode(b"".join(rows)).decode()}]


def write_file(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Write-TzarHostFile."""
    path, offset = given["Path"], given["Offset"]
    _require_upload(given)
    try:
        data = base64.b64decode(given["Base64"], validate=True)
    except ValueError as error:
        raise ScriptError(
            Record(
                "The input is not a valid Base-64 string",
                id="FormatException,Write-TzarHostFile",
                category="NotSpecified",
                exception="System.FormatException",
                hresult=-2146233033,
                cmdlet="Write-TzarHostFile",
            )
        ) from error
    file = host.drive.find(path)
    has = file.content if file is not None else b""
    if offset > len(has):
        raise tzar_error(
            "TzarBadOffset",
            f"A piece for offset {offset} of '{path}' came, which has {len(has)} bytes. Begin it anew, at 0.",
            category="InvalidArgument",
            target=path,
        )
    if given.what_if:
        return []
    rest = has[offset + len(data) :] if offset else b""
    content = has[:offset] + data + rest
    host.drive.put(HostFile(path, content))
    return [{"Path": path, "Length": len(content)}]


def remove_file(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Remove-TzarHostFile."""
    upload = _require_upload(given)
    if not given.what_if:
        host.drive.remove(given["Path"])
        host.drive.remove_if_empty(upload)
        host.drive.remove_if_empty(upload.rpartition("\\")[0])
    return []


def clear_uploads(host: Hypervisor, given: Given, call: Call) -> list[Row]:
    """Clear-TzarUpload."""
    require_path(given["Folder"], "The folder")
    folder = fleet_folder(given["Folder"], given["Fleet"])
    upload = rf"{folder}\_upload"
    if not host.drive.has_folder(upload) or given.what_if:
        return []
    before = time.time() - given["OlderThanSeconds"]
    old = [file for file in host.drive.files_under(upload) if file.written_at < before]
    for file in old:
        host.drive.remove(file.path)
    host.drive.remove_if_empty(upload)
    host.drive.remove_if_empty(folder)
    return [{"Path": file.path, "Length": file.size} for file in old]


def _open_guest(host: Hypervisor, given: Given) -> tuple[FakeVm, Mark]:
    """Open-TzarGuest: the VM, if PowerShell Direct would let this account in."""
    vm, mark = host.require_running(given["Fleet"], given["Name"])
    user, facts, problem = given["User"], host.facts, ""
    if not host.answers(vm):
        problem = "A failure occurred while attempting to connect to the target virtual machine."
    elif (user.lower(), given["Password"]) != (facts.guest_user.lower(), facts.guest_password):
        problem = "The credential is invalid."
    if problem:
        raise tzar_error(
            "TzarNoGuestSession",
            f"PowerShell Direct into '{mark.name}' as '{user}' failed: {problem} Check that the guest has booted, and "
            "its user and password, and that host and template have the same updates of Windows.",
            category="ConnectionError",
            target=mark.name,
        )
    return vm, mark


def _require_upload(given: Given) -> str:
    """Throws TzarBadPath unless a path is that of a file in the fleet's upload folder, which is returned."""
    path = given["Path"]
    require_path(given["Folder"], "The folder")
    require_path(path, "The file")
    upload = f"{fleet_folder(given['Folder'], given['Fleet'])}\\_upload"
    folder, _, name = path.rpartition("\\")
    if folder.casefold() != upload.casefold() or not name:
        raise tzar_error(
            "TzarBadPath",
            f"'{path}' does not lie in '{upload}'; it was not touched.",
            category="PermissionDenied",
            target=path,
        )
    return upload


def _put(place: Path, content: bytes) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_name(f"tzar-{uuid.uuid4().hex}.partial")
    new.write_bytes(content)
    new.replace(place)
