"""Paths in a guest, as `push` is given them."""

from pathlib import PureWindowsPath

__all__ = ["guest_path"]


def guest_path(target: str, home: str) -> str | None:
    """The full path of `target` in a guest; None when it is none that lies there.

    Args:
        target: relative to `home`, with either kind of slash, or a full one with its drive's letter.
        home: the agent's folder in the guest.
    """
    path = PureWindowsPath(target)
    is_full = len(path.drive) == 2 and bool(path.root)
    if (path.drive or path.root) and not is_full:  # of another computer, of whatever drive or folder is the current one
        return None
    # A colon would name a stream of a file, the others are no characters of Windows' names.
    if not path.name or any(set(part) & set('<>:"|?*') or part == ".." for part in path.parts[is_full:]):
        return None
    return str(path if is_full else PureWindowsPath(home) / path)
