"""The host's drive: files that are known by their Windows paths and lie in memory; only what is in a disk does not.

A disk is a file whose content is a folder of this machine. A differencing disk is a whole copy here, and notes what its
parent was when it was made, as a VHDX does.
"""

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Disk", "Drive", "HostFile", "tree_size"]


@dataclass(frozen=True, slots=True)
class Disk:
    """What a virtual disk holds.

    Args:
        content: the folder of this machine that is drive C: in it.
        parent: the path of the disk that it was made from; "": none.
        parent_identity: which identity that one had then.
        identity: new with each write to a disk that is a parent.
    """

    content: Path
    parent: str = ""
    parent_identity: str = ""
    identity: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(slots=True)
class HostFile:
    """One file. `content` of what is no disk; times in seconds since 1970."""

    path: str
    content: bytes = b""
    disk: Disk | None = None
    is_read_only: bool = False
    made_at: float = field(default_factory=time.time)
    written_at: float = field(default_factory=time.time)

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content) if self.disk is None else tree_size(self.disk.content)


@dataclass(slots=True)
class Drive:
    """Files and folders, whatever the case of their paths: both tables have the paths in one case for their keys."""

    files: dict[str, HostFile] = field(default_factory=dict)
    folders: dict[str, str] = field(default_factory=dict)

    def find(self, path: str) -> HostFile | None:
        """The file there, or None."""
        return self.files.get(_key(path))

    def put(self, file: HostFile) -> None:
        """A new file, or another in its place; its folder is made."""
        self.make_folder(file.path.rpartition("\\")[0])
        self.files[_key(file.path)] = file

    def remove(self, path: str) -> None:
        """Removes a file; there is none: nothing happens."""
        self.files.pop(_key(path), None)

    def has_folder(self, path: str) -> bool:
        """Whether there is such a folder."""
        return _key(path) in self.folders

    def make_folder(self, path: str) -> None:
        """Makes a folder and those above it."""
        parts = path.rstrip("\\").split("\\")
        for count in range(2, len(parts) + 1):
            whole = "\\".join(parts[:count])
            self.folders.setdefault(_key(whole), whole)

    def folders_in(self, path: str) -> list[str]:
        """The paths of the folders that lie directly in a folder, by name."""
        return sorted(f for f in self.folders.values() if _key(f.rpartition("\\")[0]) == _key(path))

    def files_under(self, path: str) -> Iterator[HostFile]:
        """All files below a folder."""
        start = _key(path) + "\\"
        return (file for key, file in list(self.files.items()) if key.startswith(start))

    def remove_tree(self, path: str) -> list[HostFile]:
        """Removes a folder with all that lies in it. Returns the files that were there."""
        gone = list(self.files_under(path))
        for file in gone:
            self.remove(file.path)
        for key in [key for key in self.folders if key == _key(path) or key.startswith(_key(path) + "\\")]:
            del self.folders[key]
        return gone

    def remove_if_empty(self, path: str) -> None:
        """Removes a folder if nothing is in it."""
        if not self.folders_in(path) and not any(self.files_under(path)):
            self.folders.pop(_key(path), None)

    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in list(self.files.values()))


def tree_size(folder: Path) -> int:
    """The bytes of the files below a folder of this machine; what goes meanwhile is left out."""
    total = 0
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def _key(path: str) -> str:
    return path.rstrip("\\").casefold()
