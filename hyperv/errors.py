"""What went wrong on a Hyper-V host, as an error that says where, in which cmdlet, and what to do next.

Known by error ids and HRESULTs alone: texts are localised. The Hyper-V cmdlets write HRESULTs into their texts as
`(0x8007000E)` and leave the exception's own one general, so both places are read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from hyperv.lane_rules import Verdict
from hyperv.messages import Reply, scrub
from tzar_actors.errors import DriverError

__all__ = ["Circumstances", "HyperVError", "failure_of_call", "failure_of_lane"]


class HyperVError(DriverError):
    """A call to a Hyper-V host failed.

    Args:
        cmdlet: the cmdlet that failed, or the function that was called.
        code: ours, as `TzarNotOff`; "" for an error of a cmdlet's own.
        error_id: PowerShell's FullyQualifiedErrorId; "" when no PowerShell said anything.
        hresult: as Windows writes it, 0x8007000E; 0 when there is none.
        said: warnings that were written on the way.
    """

    def __init__(
        self,
        what: str,
        *,
        host: str,
        vm: str | None,
        cmdlet: str,
        cure: str = "",
        busy: bool = False,
        unreachable: bool = False,
        lacking: bool = False,
        code: str = "",
        error_id: str = "",
        hresult: int = 0,
        said: tuple[str, ...] = (),
    ) -> None:
        super().__init__(
            f"{cmdlet}: {what}", host=host, vm=vm, cure=cure, busy=busy, unreachable=unreachable, lacking=lacking
        )
        self.cmdlet = cmdlet
        self.code = code
        self.error_id = error_id
        self.hresult = hresult
        self.said = said


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Which call it was.

    Args:
        host: the host's name.
        vm: the VM it is about, or None.
        function: what was called.
        timeout_s: the seconds it had.
    """

    host: str
    vm: str | None
    function: str
    timeout_s: float

    @classmethod
    def of(cls, host: str, function: str, parameters: Mapping[str, object], timeout_s: float) -> Self:
        """Which VM it is about, its parameter `Name` says, when it names one alone."""
        match parameters.get("Name"):
            case str(vm) | [str(vm)]:
                return cls(host, vm, function, timeout_s)
            case _:
                return cls(host, None, function, timeout_s)


class _Known(NamedTuple):
    """What is known of an error: its cure, and whether it is the host that refuses for load, cannot be asked or lacks
    what its VMs are made of."""

    cure: str
    busy: bool = False
    unreachable: bool = False
    lacking: bool = False


_MEMORY = _Known("Free memory on the host, or give its VMs less or fewer of them", busy=True)
_DISK = _Known("Free space on the host's disk", busy=True)
_NO_RIGHTS = _Known(
    "Make the account a member of Administrators (S-1-5-32-544) on the host; for a supervisor on the host itself,"
    " Hyper-V Administrators (S-1-5-32-578) is enough",
    unreachable=True,
)
_NO_SERVICE = _Known("Start the service on the host: Start-Service vmms", unreachable=True)

_NOT_CLONEABLE = _Known("It is tried again, and works once the template is as it should be", lacking=True)

_BY_CODE = {
    "TzarNotEnoughMemory": _MEMORY,
    "TzarNotEnoughDisk": _DISK,
    "TzarNoRights": _NO_RIGHTS,
    "TzarNoService": _NO_SERVICE,
    "TzarNoSwitch": _Known("It is tried again, and works once the switch is there: tzar host init", lacking=True),
    "TzarAddressTaken": _Known("Find the other machine, or give the fleet another range: guest_addresses"),
    "TzarTemplateHasCheckpoints": _NOT_CLONEABLE,
    "TzarTemplateMissing": _NOT_CLONEABLE,
    "TzarTemplateWritable": _NOT_CLONEABLE,
}

_NOT_LET_IN = _Known(
    "The account, or the VM's own, may not open that file: look at its rights and whether it is read-only"
)

_BY_HRESULT = {
    0x8007000E: _MEMORY,
    0x800705AA: _MEMORY,  # insufficient system resources
    0x80070070: _DISK,
    0x80070020: _Known(
        "It is tried again. If it lasts, find out what holds the file (a backup, a virus scanner, another VM), and"
        " exclude the folder there",
        busy=True,
    ),
    0x80070050: _Known("A file of that name is left over there: remove it"),
    0x80070005: _NOT_LET_IN,
    0x80070002: _Known("Something that the VM needs is not there: a file, a folder or a switch"),
    0x80070003: _Known("Something that the VM needs is not there: a file, a folder or a switch"),
    0xC03A000D: _Known("The disk's parent is not where it was: put the template back, or make the VM anew"),
    0xC03A000E: _Known(
        "The disk's parent has changed since the clone was made, so it cannot start again: make the VM anew"
    ),
    0xC03A0019: _Known("A disk further up the chain cannot be opened: look at the template's own parents"),
    0xC03A0015: _Known("The file is not a virtual disk, or is damaged: make it anew"),
}

_BY_ID = {"OutOfMemory": _MEMORY}

_OF_LANE = {
    Verdict.UNREACHABLE: _Known("Look whether the host is up and WinRM runs there: tzar host check", unreachable=True),
    Verdict.BUSY: _Known(
        "It is tried again. If it lasts, end what else uses this account there, or raise the quotas of WinRM", busy=True
    ),
    Verdict.DENIED: _Known(
        "Correct the user or the password where they are kept, and see that the account is neither locked nor disabled",
        unreachable=True,
    ),
    Verdict.UNTRUSTED: _Known(
        "Renew the host's certificate, or name the authority that issued it as the one to trust", unreachable=True
    ),
    Verdict.UNUSABLE: _Known("Install what is missing, or correct the host's settings", unreachable=True),
    Verdict.LOST: _Known("Whether it was done is not known: the VM's state is asked for anew", unreachable=True),
    Verdict.HUNG: _Known("It was ended. Look on the host at what it waits for: Get-VM, and the log of Hyper-V-VMMS"),
    Verdict.FAULT: _Known(
        "Look into the host's log of WinRM: Get-WinEvent Microsoft-Windows-WinRM/Operational", unreachable=True
    ),
    Verdict.TOO_LARGE: _Known("Send what is large in pieces"),
}


def failure_of_lane(about: Circumstances, verdict: Verdict, text: str) -> HyperVError:
    """The error of a call that had no reply. `text` says what was met and holds no secret."""
    known = _OF_LANE[verdict]
    what = {
        Verdict.LOST: f"the host lost it: {text}",
        Verdict.HUNG: f"it did not end within {about.timeout_s:g} s",
    }.get(verdict, text)
    return HyperVError(
        what,
        host=about.host,
        vm=about.vm,
        cmdlet=about.function,
        cure=known.cure,
        busy=known.busy,
        unreachable=known.unreachable,
        lacking=known.lacking,
    )


def failure_of_call(about: Circumstances, reply: Reply, secrets: tuple[str, ...]) -> HyperVError:
    """The error of a call whose reply is one. `secrets` are taken out of all texts."""
    error = reply.error or {}
    message = " ".join(scrub(str(error.get("message", "")), secrets).split()).rstrip(".")
    error_id, code = str(error.get("id", "")), str(error.get("code", ""))
    hresult = _hresult(int(error.get("hresult", 0)), message)
    cmdlet = str(error.get("cmdlet") or about.function)
    known = _known(code, error_id, str(error.get("category", "")), hresult, cmdlet)
    return HyperVError(
        message,
        host=about.host,
        vm=about.vm,
        cmdlet=cmdlet,
        cure=known.cure,
        busy=known.busy,
        unreachable=known.unreachable,
        lacking=known.lacking,
        code=code,
        error_id=scrub(error_id, secrets),
        hresult=hresult,
        said=tuple(scrub(line, secrets) for line in reply.said),
    )


def _hresult(given: int, message: str) -> int:
    """The HRESULT that says most: one of the system's own over .NET's general ones."""
    own = given & 0xFFFFFFFF
    if own in _BY_HRESULT:
        return own
    written = [int(found, 16) for found in re.findall(r"\b0x([0-9A-Fa-f]{8})\b", message)]
    return next((value for value in written if value in _BY_HRESULT), written[-1] if written else own)


def _known(code: str, error_id: str, category: str, hresult: int, cmdlet: str) -> _Known:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if hresult in _BY_HRESULT:
        return _BY_HRESULT[hresult]
    short_id = error_id.partition(",")[0]
    if short_id == "AccessDenied" and category == "PermissionDenied":
        # Who may not even look has no rights. What is said of one VM may be its disk's, and is not the host's.
        return _NO_RIGHTS if cmdlet.startswith("Get-") else _NOT_LET_IN
    return _BY_ID.get(short_id, _Known(""))
