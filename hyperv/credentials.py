"""Where names and passwords come from: the environment, a file that only its owner can read, or the system's keyring.

They are never in the configuration, and what is found shows in no message, log or traceback. They are looked up by the
name of what they open: a host's name, or one that the configuration gives to the guests' account.
"""

import contextlib
import os
import re
import stat
import subprocess
import sys
import threading
import time
import tomllib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hyperv.messages import Secret
from tzar_actors.drivers.environment import CREDENTIALS_PREFIX
from tzar_actors.errors import ConfigError

__all__ = ["Credentials", "find_credentials"]

_SERVICE = "tzar-actors"  # what the keyring files them under
_ICACLS_LIMIT_S = 20.0
_PRIVATE_FOR_S = 60.0  # so long is not asked again who can read a file: they are looked up several times a second
# Everyone, Authenticated Users, Users, Guests, Interactive, Network: any of them is more than the owner.
_CROWDS = ("S-1-1-0", "S-1-5-11", "S-1-5-32-545", "S-1-5-32-546", "S-1-5-4", "S-1-5-2")
_SDDL_CROWDS = ("WD", "AU", "BU", "BG", "IU", "NU")


@dataclass(frozen=True, slots=True)
class Credentials:
    """An account: `user` as Windows takes it (`Administrator`, `HV01\\name`, `name@domain`), and its password."""

    user: str
    password: Secret


def find_credentials(
    name: str, *, file: Path | None = None, environment: Mapping[str, str] | None = None
) -> Credentials:
    """The credentials for `name`: from the environment, else from `file`, else from the keyring.

    Args:
        name: what they open. In the environment `hv-01` is TZAR_HYPERV_HV_01_USER and TZAR_HYPERV_HV_01_PASSWORD.
        file: TOML with a table for each name, with `user` and `password`. None: there is no file.
        environment: in place of this process's.

    Raises:
        ConfigError: there are none, or others can read the file; it says what to do.
    """
    environment = os.environ if environment is None else environment
    user_key, password_key = (f"{_variable(name)}_{part}" for part in ("USER", "PASSWORD"))
    user, password = environment.get(user_key), environment.get(password_key)
    if user and password:
        return Credentials(user, Secret(password))
    if user or password:
        here, missing = (user_key, password_key) if user else (password_key, user_key)
        raise ConfigError(f"credentials of {name}: {here} is set and {missing} is not. Set both")
    found = (_in_file(name, file) if file is not None else None) or _in_keyring(name)
    if found is None:
        in_file = f", or a table [{name}] with user and password to {file}" if file is not None else ""
        raise ConfigError(
            f"there are no credentials of {name}. Set {user_key} and {password_key}{in_file}, or put them into the "
            f"keyring: keyring set {_SERVICE} {name} (as USER:PASSWORD)"
        )
    return found


def _variable(name: str) -> str:
    return CREDENTIALS_PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper())


def _in_file(name: str, path: Path) -> Credentials | None:
    try:
        _require_private(path)
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"the file of credentials {path} does not exist. Make it, readable by you alone") from None
    except OSError as error:
        raise ConfigError(f"the file of credentials {path} cannot be read: {error.strerror}") from None
    except ValueError:  # its text would show what stands there
        raise ConfigError(f"the file of credentials {path} is not TOML in UTF-8") from None
    table = document.get(name)
    if table is None:
        return None
    match table:
        case {"user": str(user), "password": str(password)} if user and password and len(table) == 2:
            return Credentials(user, Secret(password))
        case _:
            raise ConfigError(f"{path}: the table [{name}] must have the texts user and password, and nothing else")


def _in_keyring(name: str) -> Credentials | None:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return None
    try:
        entry = keyring.get_password(_SERVICE, name)
    except keyring.errors.KeyringError:  # there is no keyring on this machine, or it is locked
        return None
    if entry is None:
        return None
    user, colon, password = entry.partition(":")
    if not (colon and user and password):
        raise ConfigError(
            f"the keyring's entry of {_SERVICE} for {name} is not USER:PASSWORD. "
            f"Set it anew: keyring set {_SERVICE} {name}"
        )
    return Credentials(user, Secret(password))


def _require_private(path: Path) -> None:
    if sys.platform == "win32":
        cure = f'icacls "{path}" /inheritance:r /grant:r "%USERNAME%:F"'
        is_private = _PRIVATE.is_private(path)
    else:
        cure = f"chmod 600 {path}"
        status = path.stat()
        is_private = stat.S_IMODE(status.st_mode) & 0o077 == 0 and status.st_uid in (os.getuid(), 0)
    if not is_private:
        raise ConfigError(f"others can read the file of credentials {path}. Make it yours alone: {cure}")


class _PrivateFiles:
    """The files that only their owner can read, as far as was asked lately. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[Path, float] = {}

    def is_private(self, path: Path) -> bool:
        with self._lock:
            if time.monotonic() < self._until.get(path, 0.0):
                return True
            is_private = not _crowds_in(_acl(path))
            if is_private:
                self._until[path] = time.monotonic() + _PRIVATE_FOR_S
            return is_private


_PRIVATE = _PrivateFiles()


def _acl(path: Path) -> str:
    """The file's access list in SDDL, as `icacls /save` writes it: names of accounts are localised, SDDL is not."""
    saved = path.with_name(f"{path.name}.{uuid.uuid4().hex}.acl")
    icacls = "icacls"
    if sys.platform == "win32":  # the current folder, where others may write, is searched first
        icacls = str(Path(os.environ["SYSTEMROOT"], "System32", "icacls.exe"))
    try:
        subprocess.run(
            [icacls, str(path), "/save", str(saved)],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_ICACLS_LIMIT_S,
        )
        return saved.read_text(encoding="utf-16-le")
    except (OSError, subprocess.SubprocessError, UnicodeError):
        raise ConfigError(f"it cannot be found out who can read {path}: icacls failed") from None
    finally:
        with contextlib.suppress(OSError):  # a virus scanner may have it open; it holds no secret
            saved.unlink(missing_ok=True)


def _crowds_in(sddl: str) -> list[str]:
    """Who of the large groups is allowed something by an access list."""
    allowed = re.findall(r"\((?:A|OA|XA);[^;]*;[^;]*;[^;]*;[^;]*;([^;)]+)", sddl)
    return [who for who in allowed if who in _CROWDS or who in _SDDL_CROWDS]
