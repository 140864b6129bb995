"""Prepares and checks the hosts of a fleet, before there is one or beside it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tzar_actors.drivers.base import Check, HostSetup, Part
from tzar_actors.drivers.choice import make_setup
from tzar_actors.errors import ConfigError, DriverError
from tzar_actors.journal.reading import kept_fleet
from tzar_actors.settings import Host, Settings
from tzar_actors.settings.complaints import nearest
from tzar_actors.state_folder import JOURNAL_FILE, ports

__all__ = ["check", "find_hosts", "initialize"]

_NO_FLEET = "0" * 32


def find_hosts(settings: Settings, names: Sequence[str]) -> tuple[Host, ...]:
    """The settings of these hosts, or of all where there are no names.

    Raises:
        ConfigError: a name is not that of a host; it names the nearest one that is.
    """
    known = {host.name: host for host in settings.hosts}
    for name in names:
        if name not in known:
            raise ConfigError(f'there is no host "{name}"{nearest(name, known)}; there are {", ".join(known)}')
    return tuple(known[name] for name in dict.fromkeys(names)) or settings.hosts


def check(settings: Settings, host: Host) -> Sequence[Check]:
    """What is in order on the host and what is not; a host that cannot be asked is one check that failed."""
    try:
        with _setup(settings, host) as setup:
            return setup.check()
    except DriverError as error:
        return (Check("reach", False, error.what, "the host can be asked", error.cure),)


def initialize(settings: Settings, host: Host) -> Sequence[Part]:
    """Makes what the host lacks.

    Raises:
        DriverError: it could not be made; what was made before stays.
    """
    with _setup(settings, host) as setup:
        return setup.initialize()


@contextmanager
def _setup(settings: Settings, host: Host) -> Iterator[HostSetup]:
    kept = kept_fleet(settings.state_dir / JOURNAL_FILE)
    setup = make_setup(host, settings, kept.id if kept is not None else _NO_FLEET, ports(settings))
    try:
        yield setup
    finally:
        setup.close()
