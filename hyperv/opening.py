"""Lanes to a host, opened by what its settings say."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hyperv.credentials import Credentials, find_credentials
from hyperv.lanes import Lanes
from hyperv.local_channel import LocalChannel
from hyperv.program import Program, shipped_functions
from tzar_actors.errors import ConfigError

__all__ = ["found_credentials", "lanes_by_winrm", "lanes_here"]


def lanes_here(host: str, count: int) -> Lanes:
    """Lanes of PowerShells on this machine, which is the host."""
    return Lanes(host, lambda program, timeout_s: LocalChannel(program), Program(shipped_functions()), count=count)


def lanes_by_winrm(
    host: str,
    count: int,
    endpoint: str,
    credentials: Callable[[], Credentials] | None,
    *,
    transport: str = "ntlm",
    verify: bool = True,
    ca_file: Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> Lanes:
    """Lanes of PowerShells on a remote host. The arguments are those of `WinRm`.

    Raises:
        ConfigError: pywinrm is not installed.
    """
    try:
        from hyperv.winrm_channel import WinRmChannel  # only here: on the host itself nobody needs pywinrm
        from hyperv.winrm_connection import WinRm
    except ImportError as error:
        raise ConfigError(
            f'host {host}: WinRM needs pywinrm ({error}). Install it: pip install "tzar-actors[hyperv]"'
        ) from None

    reach = WinRm(
        endpoint,
        credentials,
        transport=transport,
        verify=verify,
        ca_file=str(ca_file) if ca_file is not None else None,
        options=options or {},
    )

    def shown() -> Credentials | None:
        try:
            return credentials() if credentials is not None else None
        except ConfigError:  # whoever needs them tells
            return None

    opener = functools.partial(WinRmChannel, reach)
    return Lanes(host, opener, Program(shipped_functions()), count=count, account=shown)


def found_credentials(name: str, file: Path | None) -> Callable[[], Credentials]:
    """Looks up the credentials of `name` at each call, and once now. Raises `ConfigError`."""
    find_credentials(name, file=file)
    return functools.partial(find_credentials, name, file=file)
