"""Copies and removes whole folders, also ones that a running VM is writing to, and ones with read-only files."""

import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["copy_tree", "remove_tree"]


def copy_tree(source: Path, target: Path, leave_out: str) -> None:
    """Copies files, folders and links to the new folder `target`, but for what is named `leave_out` at the top.

    Files that go while they are being copied are left out. Sockets and pipes are, too: they hold nothing.

    Raises:
        OSError: something cannot be read or written; `target` is then half made.
    """
    target.mkdir()
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.name != leave_out:
                _copy(entry, target / entry.name)


def remove_tree(folder: Path, last: str) -> None:
    """Removes a folder with all that is in it, `last` after everything else; absent already: nothing changes.

    Raises:
        OSError: something cannot be removed; what is left can be removed later.
    """
    if not folder.exists():
        return
    children = sorted(folder.iterdir(), key=lambda child: child.name == last)
    for child in children:
        if child.is_dir() and not child.is_symlink():
            _remove_whole(child)
        else:
            _remove_file(child)
    folder.rmdir()


def _copy(entry: "os.DirEntry[str]", target: Path) -> None:
    try:
        if entry.is_dir(follow_symlinks=False):
            target.mkdir()
            with os.scandir(entry.path) as entries:
                for child in entries:
                    _copy(child, target / child.name)
        elif entry.is_symlink() or entry.is_file():
            shutil.copy2(entry.path, target, follow_symlinks=False)
    except FileNotFoundError:
        if os.path.lexists(entry.path):
            raise


def _remove_whole(folder: Path) -> None:
    if sys.version_info >= (3, 12):
        shutil.rmtree(folder, onexc=lambda function, path, error: _remove_again(function, path, error))
    else:
        shutil.rmtree(folder, onerror=lambda function, path, info: _remove_again(function, path, info[1]))


def _remove_file(file: Path) -> None:
    try:
        file.unlink()
    except PermissionError as error:
        _remove_again(os.unlink, str(file), error)


def _remove_again(function: Callable[..., object], path: str, error: BaseException) -> None:
    if not isinstance(error, PermissionError) or function not in (os.unlink, os.rmdir):
        raise error
    # Windows asks the file itself for the right to be removed, others ask its folder.
    locked = Path(path) if sys.platform == "win32" else Path(path).parent
    locked.chmod(stat.S_IRWXU)
    function(path)
