"""The mark in a VM's notes, and the places of its files: as Marks.ps1 and Places.ps1 write and read them."""

import hashlib
import re
from dataclasses import dataclass

from hyperv.fake.records import tzar_error

__all__ = ["Mark", "fleet_folder", "is_place_of", "place_of", "read_mark", "require_name", "require_path", "write_mark"]

_MARK = re.compile(r"tzar-actors fleet=([0-9a-f]{32}) vm=(.+) incarnation=([0-9]{1,9})\s*")
_PARENT = re.compile(r"tzar-actors parent=(.+?)\s*")
_PLAIN = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_RESERVED = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")
_PATH = re.compile(r"([A-Za-z]:|\\\\[^\\/]+\\[^\\/]+)\\.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose a VM is: the fleet's id, the supervisor's name of it, its incarnation, the template's path."""

    fleet: str
    name: str
    incarnation: int
    parent: str = ""


def read_mark(notes: str) -> Mark | None:
    """The first mark in a VM's notes, or None."""
    lines = notes.splitlines()
    for at, line in enumerate(lines):
        if match := _MARK.fullmatch(line):
            parents = [found[1] for later in lines[at + 1 :] if (found := _PARENT.fullmatch(later))]
            return Mark(match[1], match[2], int(match[3]), parents[0] if parents else "")
    return None


def write_mark(notes: str, mark: Mark) -> str:
    """The notes with this mark on top, and with the lines that people wrote as they are."""
    lines = [f"tzar-actors fleet={mark.fleet} vm={mark.name} incarnation={mark.incarnation}"]
    if mark.parent:
        lines.append(f"tzar-actors parent={mark.parent}")
    theirs = [line for line in notes.splitlines() if not re.match(r"tzar-actors (fleet|parent)=", line)]
    return "\r\n".join(lines + theirs)


def place_of(name: str) -> str:
    """The name of a VM's folder and disk."""
    if _PLAIN.fullmatch(name) and not _RESERVED.fullmatch(name):
        return name
    plain = re.sub(r"[^A-Za-z0-9-]+", "-", name).strip("-").lower()[:24]
    return f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def fleet_folder(folder: str, fleet: str) -> str:
    """The fleet's folder in a folder."""
    return folder.rstrip("\\") + "\\" + fleet


def is_place_of(path: str, fleet: str) -> bool:
    """Whether a path is that of one VM's folder in the fleet's."""
    return re.fullmatch(rf".+\\{fleet}\\[^\\]+", path.rstrip("\\"), re.IGNORECASE) is not None


def require_path(path: str, what: str) -> None:
    """Throws TzarBadPath unless it is a full path without wildcards and steps upwards."""
    if not _PATH.fullmatch(path) or re.search(r'[\[\]*?"<>|/`]', path) or re.search(r"(^|\\)\.{1,2}(\\|$)", path):
        raise tzar_error(
            "TzarBadPath",
            f"{what} '{path}' cannot be used: it must be a full path such as D:\\tzar, without wildcards, quotes and "
            "steps upwards. Choose another.",
            category="InvalidArgument",
            target=path,
        )


def require_name(name: str) -> None:
    """Throws TzarBadName unless a VM can bear this name."""
    if not name or len(name) > 100 or name.strip() != name or re.search(r"[\x00-\x1f\x7f-\x9f]", name):
        raise tzar_error(
            "TzarBadName",
            f"'{name}' cannot be a VM's name: Hyper-V takes up to 100 characters, and here none of them may be a "
            "control character, or a blank at an end. Choose another.",
            category="InvalidArgument",
            target=name,
        )
