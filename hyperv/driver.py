"""The Hyper-V driver: clones, powers and reaches into the worker VMs of one host, by PowerShell.

Whatever is done there is a function of `scripts/functions`, called in a lane. `status` has a lane of its own.
"""

import base64
import contextlib
import hashlib
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from hyperv.boots import Heartbeats
from hyperv.errors import HyperVError
from hyperv.guest_paths import guest_path
from hyperv.guests import Guests
from hyperv.lanes import Lanes
from hyperv.messages import Value
from hyperv.plans import GuestPlan, VmPlan
from hyperv.refusals import refusal
from hyperv.screens import png_of, shown_size
from hyperv.sightings import Row, by_name, seen
from tzar_actors.drivers.base import Execution, LimitedVerb, LimitOf, VmStatus
from tzar_actors.errors import DriverError
from tzar_agent.protocol.identity import Identity

__all__ = ["HyperVDriver"]

_STATUS_S = 30.0
_QUICK_S = 60.0  # what only changes something of a VM
_DISKS_S = 300.0  # what makes, merges or removes disks, or writes a VM's memory to one
_KILL_S = 30.0
_LONGEST_STOP_S = 3600.0  # as Stop-TzarWorkerVM takes it
_LOGS_S = 15.0
_PIECE = 144_000  # bytes of a file in one request: 192,000 in base64
_TIDY_EACH_S = 3600.0
_TIDY_S = 10.0
_UPLOAD_OLD_S = 600.0  # no push lets its file lie for so long: one piece has 60 s, and the way into the guest 300 s
_SLACK_S = 30.0  # what a call may need beyond the time that it is given to work with
_MARGIN_S = 5.0  # what ending a PowerShell that hangs may take, and telling of it


class HyperVDriver:
    """Runs the VMs of one fleet on one Hyper-V host.

    Args:
        host: the host's name, for errors.
        fleet: the fleet's id, 32 hex digits: the mark of its VMs.
        lanes: to the host; the driver closes them.
        vms: how VMs are made.
        guests: how guests are reached.
        limit_of: the seconds after which whoever asked for a verb gives it up. It ends before, so that what is told is
            what was met, and not that nobody knows; None: nobody gives it up.
    """

    def __init__(
        self,
        host: str,
        fleet: str,
        lanes: Lanes,
        vms: VmPlan,
        guests: GuestPlan,
        limit_of: LimitOf | None = None,
    ) -> None:
        self._host = host
        self._fleet = fleet
        self._lanes = lanes
        self._vms = vms
        self._uploads = vms.folder.rstrip("\\") + rf"\{fleet}\_upload"  # as HostFiles.ps1 has it
        self._plan = guests
        self._limit_of = limit_of
        self._heartbeats = Heartbeats(host, self._rows)
        self._guests = Guests(host, fleet, lanes, guests)
        self._tidy_at = 0.0

    def create(self, vm: str) -> str:
        """Makes the VM as a clone of the template, off; does the rest of one that was made in part."""
        timeout_s = self._within(_DISKS_S, "create")
        [made] = self._call("New-TzarWorkerVM", vm, timeout_s, "create", "created", **self._vms.parameters())
        return str(made["Id"])

    def start(self, vm: str, identity: Identity) -> None:
        """Boots the VM; ends when its guest has the identity, and its address where that is ours to give.

        Raises:
            DriverError: the VM runs or is absent, or its guest did not answer or was seen not to take the identity;
                it is off again then.
        """
        deadline, last = self._boot_deadlines("start")
        timeout_s, number = self._within(_QUICK_S, "kill"), identity.incarnation  # either is done at once
        [started] = self._call("Start-TzarWorkerVM", vm, timeout_s, "start", "started", Incarnation=number)
        self._bring_up(vm, str(started["Id"]), identity, deadline, last)

    def stop(self, vm: str, timeout_s: float) -> None:
        """Asks the guest to shut down; off or absent already: nothing changes."""
        timeout_s = max(0.0, timeout_s)
        call_s = self._within(timeout_s + _SLACK_S, "stop")
        asked_s = min(timeout_s, max(call_s / 2, call_s - _SLACK_S), _LONGEST_STOP_S)
        self._turn_off(vm, "stop", "stopped", call_s, TimeoutSeconds=asked_s)

    def kill(self, vm: str) -> None:
        """Turns the VM off, as pulling the plug would; off or absent already: nothing changes."""
        self._kill(vm, self._within(_KILL_S + _SLACK_S, "kill"))

    def checkpoint(self, vm: str, name: str) -> None:
        """Saves the VM's state: of a running VM its memory too."""
        self._checkpoint(vm, name, _DISKS_S)

    def restore(self, vm: str, name: str, identity: Identity) -> None:
        """Puts the VM back and lets it run on from there, with a new identity and the right time.

        Raises:
            DriverError: there is no such checkpoint (nothing changed), or as `start` raises.
        """
        deadline, last = self._boot_deadlines("restore")
        [restored] = self._call(
            "Restore-TzarWorkerVM",
            vm,
            min(_DISKS_S, max(1.0, last - time.monotonic())),
            "restore",
            "restored",
            CheckpointName=name,
            Incarnation=identity.incarnation,
        )
        self._bring_up(vm, str(restored["Id"]), identity, deadline, last, is_restored=True)

    def remove(self, vm: str) -> None:
        """Removes the VM, its disks, its checkpoints, and what an earlier try left of it."""
        timeout_s = self._within(_DISKS_S, "remove")
        self._call("Remove-TzarWorkerVM", vm, timeout_s, "remove", "removed", Folder=self._vms.folder)

    def status(self) -> Mapping[str, VmStatus]:
        """What the host says of all VMs with the mark, in one call.

        The first time, and once an hour from then on, another call removes what pushes left that were killed.
        """
        deadline = time.monotonic() + self._within(_STATUS_S, "status")
        rows = self._rows()
        self._tidy(deadline)
        return {name: seen(row) for name, row in rows.items()}

    def push(self, vm: str, source: Path, target: str) -> None:
        """Copies a file to the host and from there into the guest, where its SHA-256 is verified.

        Args:
            vm: a running VM.
            source: a file of this machine.
            target: relative to the agent's folder in the guest, or a full path there, as in `C:\\games\\1.map`.
        """
        path = guest_path(target, self._plan.home)
        if path is None:
            cure = f"Name one relative to {self._plan.home}, or one that begins with its drive"
            raise self._error(f"{target} is no path inside it", vm, cure)
        on_host = rf"{self._uploads}\{uuid.uuid4().hex}"
        try:
            sha256 = self._upload(source, on_host)
            self._guests.call("Send-TzarWorkerFile", vm, _DISKS_S, Source=on_host, Target=path, Sha256=sha256)
        except OSError as error:
            raise self._error(f"{source} cannot be pushed to {target}: {error.strerror}", vm, "") from error
        except HyperVError as error:
            raise refusal(error, verb="push to", done="pushed to") from None
        finally:
            with contextlib.suppress(DriverError):  # what was met first is told; the host's disk has room for a file
                self._lanes.call("Remove-TzarHostFile", self._upload_parameters(on_host), _QUICK_S)

    def execute(self, vm: str, argv: Sequence[str], timeout_s: float) -> Execution:
        """Runs a program in the agent's folder of the guest; of each output the last 4 MiB are kept.

        After `timeout_s` seconds it is ended with all it started.
        """
        given: dict[str, Value] = {
            "Argv": list(argv),
            "TimeoutSeconds": timeout_s,
            "WorkingDirectory": self._plan.home,
        }
        try:
            [ended] = self._guests.call("Invoke-TzarWorkerCommand", vm, timeout_s + _QUICK_S, **given)
        except HyperVError as error:
            raise refusal(error, verb="execute in", done="used") from None
        stdout, stderr = (base64.b64decode(ended[name]) for name in ("Stdout", "Stderr"))
        return Execution(int(ended["ExitCode"]), stdout, stderr, timed_out=bool(ended["TimedOut"]))

    def screenshot(self, vm: str) -> bytes:
        """What the VM's console shows, also while its guest does not answer."""
        width, height = shown_size(*self._vms.screen)
        timeout_s = self._half_of_evidence(_QUICK_S)
        [screen] = self._call(
            "Get-TzarWorkerScreenshot", vm, timeout_s, "see the screen of", "seen", Width=width, Height=height
        )
        try:
            return png_of(int(screen["Width"]), int(screen["Height"]), screen["Rgb565"])
        except ImportError:
            raise self._error("a PNG of its screen needs Pillow", vm, 'pip install "tzar-actors[hyperv]"') from None

    def logs(self, vm: str, limit_bytes: int) -> Mapping[str, bytes]:
        """The end of the agent's log, read in the guest, which has up to 15 s to answer; it has none: empty.

        Raises:
            DriverError: the VM is off, or its guest does not answer.
        """
        path = rf"{self._plan.home}\agent.log"
        try:
            timeout_s = self._half_of_evidence(_LOGS_S)
            found = self._guests.call("Get-TzarWorkerLog", vm, timeout_s, Path=path, LimitBytes=limit_bytes)
        except HyperVError as error:
            if error.code == "TzarNoSuchVM":
                return {}
            raise refusal(error, verb="read the logs of", done="read") from None
        return {"agent.log": base64.b64decode(found[0]["Base64"])} if found else {}

    def close(self) -> None:
        """Ends the PowerShells on the host."""
        self._lanes.close()

    def _tidy(self, deadline: float) -> None:
        now = time.monotonic()
        timeout_s = min(_TIDY_S, deadline - now)
        if now < self._tidy_at or timeout_s < 1.0:
            return
        self._tidy_at = now + _TIDY_EACH_S
        given: dict[str, Value] = {"Fleet": self._fleet, "Folder": self._vms.folder, "OlderThanSeconds": _UPLOAD_OLD_S}
        with contextlib.suppress(DriverError):  # what was asked is known; the files may lie there for another hour
            self._lanes.status("Clear-TzarUpload", given, timeout_s)

    def _bring_up(
        self, vm: str, machine_id: str, identity: Identity, deadline: float, last: float, *, is_restored: bool = False
    ) -> None:
        """Waits for the guest and gives it what it needs; it is off again when that fails.

        Nothing is begun after `deadline`, and what was begun before has ended at `last`, both monotonic seconds.
        """
        is_up = False
        try:
            row = self._heartbeats.wait(vm, deadline)
            name = self._plan.checkpoint
            if name and name not in (checkpoint["Name"] for checkpoint in row["Checkpoints"]):
                self._checkpoint(vm, name, min(_DISKS_S, max(1.0, last - time.monotonic())))
            self._guests.bring_up(vm, machine_id, identity, deadline, last, is_restored=is_restored)
            is_up = True
        finally:
            if not is_up:
                with contextlib.suppress(DriverError):  # the first one is told; the next status shows that it runs
                    rest_s = last + (last - deadline) - time.monotonic()
                    self._kill(vm, min(_KILL_S + _SLACK_S, max(1.0, rest_s)))

    def _checkpoint(self, vm: str, name: str, timeout_s: float) -> None:
        self._call("Checkpoint-TzarWorkerVM", vm, timeout_s, "checkpoint", "saved", CheckpointName=name)

    def _kill(self, vm: str, timeout_s: float) -> None:
        own_s = min(_KILL_S, timeout_s / 2)
        self._turn_off(vm, "kill", "killed", timeout_s, TimeoutSeconds=own_s, TurnOff=True)

    def _within(self, own_s: float, verb: LimitedVerb) -> float:
        """The seconds that a verb of one call may take: its own, or as long as whoever asked waits."""
        if self._limit_of is None:
            return own_s
        limit_s = self._limit_of(verb)
        return min(own_s, limit_s - min(_MARGIN_S, limit_s / 3))

    def _half_of_evidence(self, own_s: float) -> float:
        """The seconds that a log or a screen may take: a guest that does not answer leaves as much for the other."""
        return min(own_s, self._within(2.0 * own_s, "evidence") / 2.0)

    def _boot_deadlines(self, verb: Literal["start", "restore"]) -> tuple[float, float]:
        """Until when a boot may begin something, and when what it began has ended; the rest is for turning it off."""
        deadline = time.monotonic() + self._plan.boot_timeout_s
        more_s = self._within(math.inf, verb) - self._plan.boot_timeout_s
        return deadline, deadline + max(1.0, more_s / 2)

    def _turn_off(self, vm: str, verb: str, done: str, timeout_s: float, **given: Value) -> None:
        try:
            self._call("Stop-TzarWorkerVM", vm, timeout_s, verb, done, **given)
        except HyperVError as error:
            if error.code != "TzarNoSuchVM":
                raise

    def _rows(self) -> dict[str, Row]:
        return by_name(
            self._lanes.status("Get-TzarWorkerVM", {"Fleet": self._fleet}, self._within(_STATUS_S, "status"))
        )

    def _call(self, function: str, vm: str, timeout_s: float, verb: str, done: str, **given: Value) -> list[Any]:
        try:
            return self._lanes.call(function, {"Fleet": self._fleet, "Name": vm, **given}, timeout_s)
        except HyperVError as error:
            name = given.get("CheckpointName")
            raise refusal(error, verb=verb, done=done, checkpoint=name if isinstance(name, str) else "") from None

    def _upload(self, source: Path, on_host: str) -> str:
        """Writes a file to the host, piece by piece, and returns its SHA-256 in hex."""
        sha256 = hashlib.sha256()
        place = self._upload_parameters(on_host)
        with source.open("rb") as stream:
            offset = 0
            while (piece := stream.read(_PIECE)) or not offset:  # an empty file is one piece
                sha256.update(piece)
                encoded = base64.b64encode(piece).decode("ascii")
                self._lanes.call("Write-TzarHostFile", {**place, "Offset": offset, "Base64": encoded}, _QUICK_S)
                offset += len(piece)
                if len(piece) < _PIECE:
                    break
        return sha256.hexdigest()

    def _upload_parameters(self, on_host: str) -> dict[str, Value]:
        return {"Fleet": self._fleet, "Folder": self._vms.folder, "Path": on_host}

    def _error(self, what: str, vm: str, cure: str) -> DriverError:
        return DriverError(what, host=self._host, vm=vm, cure=cure)
