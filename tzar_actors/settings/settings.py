"""The settings as a whole: the sections put together, and what they must agree on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from tzar_actors.errors import ConfigError
from tzar_actors.settings.complaints import complaints
from tzar_actors.settings.evaluators import Evaluator
from tzar_actors.settings.section import Section, beneath
from tzar_actors.settings.sections import Fleet, Heartbeat, Host, Limits, Log, Recovery, Retention

__all__ = ["Settings"]


class Settings(Section):
    """Everything that a supervisor is told. Made by `load`, `from_mapping`, or `Settings()`, which is the defaults."""

    fleet: Fleet = Field(default=Fleet(), description="The fleet as a whole.")
    evaluator: Evaluator | None = Field(
        default=None,
        description="How a game is played and scored: the one thing that has no default.",
    )
    hosts: tuple[Host, ...] = Field(default=(Host(),), description="The hosts of the VMs.")
    heartbeat: Heartbeat = Field(default=Heartbeat(), description="How soon a silent agent counts as lost.")
    recovery: Recovery = Field(default=Recovery(), description="How a VM that failed comes back.")
    limits: Limits = Field(default=Limits(), description="Bounds.")
    retention: Retention = Field(default=Retention(), description="How long evaluations that have ended are known.")
    log: Log = Field(default=Log(), description="The log of events.")

    @property
    def state_dir(self) -> Path:
        """The state folder, absolute."""
        return (self.fleet.state_dir or Path(".tzar") / self.fleet.name).absolute()

    @property
    def log_file(self) -> Path:
        """The file of the log of events, absolute."""
        return (self.log.file or self.state_dir / "events.jsonl").absolute()

    @property
    def has_guest_paths(self) -> bool:
        """Whether the evaluator's folders are meant in guests, which have a file system of their own."""
        return any(host.driver == "hyperv" for host in self.hosts)

    @classmethod
    def from_mapping(
        cls, mapping: Mapping[str, Any], *, folder: Path | None = None, source: str = "the configuration"
    ) -> "Settings":
        """The settings in `mapping`, which has the shape of the file: tables as maps, `hosts` as a list.

        Args:
            mapping: what was configured; the rest are the defaults.
            folder: relative paths are taken from here; None: from the current folder.
            source: what an error calls the configuration: its file's name.

        Returns:
            Settings whose paths of this machine are absolute, so that `model_dump(mode="json")` of it means the same
            anywhere.

        Raises:
            ConfigError: it names everything that is wrong, a line each.
        """
        try:
            settings = cls.model_validate(dict(mapping))
        except ValidationError as error:
            lines = complaints(error, cls)
            if len(lines) == 1:
                raise ConfigError(f"{source}: {lines[0]}") from None
            raise ConfigError("\n  ".join([f"{source}: {len(lines)} values are wrong", *lines])) from None
        return settings._beneath(folder or Path.cwd())

    @field_validator("hosts")
    @classmethod
    def _names_differ(cls, hosts: tuple[Host, ...]) -> tuple[Host, ...]:
        if not hosts:
            raise ValueError("is empty; allowed: at least one host, or no hosts at all for one local host")
        first: dict[str, int] = {}
        for number, host in enumerate(hosts):
            if host.name in first:
                raise ValueError(
                    f'hosts[{number}].name: "{host.name}" is the name of hosts[{first[host.name]}] as well; '
                    "allowed: a name that no other host has"
                )
            first[host.name] = number
        return hosts

    def _beneath(self, folder: Path) -> "Settings":
        state_dir = beneath(folder, self.fleet.state_dir or Path(".tzar", self.fleet.name))
        log_file = beneath(folder, self.log.file) if self.log.file else state_dir / "events.jsonl"
        return self.model_copy(
            update={
                "fleet": self.fleet.model_copy(update={"state_dir": state_dir}),
                "evaluator": self._evaluator_beneath(folder),
                "hosts": tuple(_host_beneath(folder, host) for host in self.hosts),
                "log": self.log.model_copy(update={"file": log_file}),
            }
        )

    def _evaluator_beneath(self, folder: Path) -> Evaluator | None:
        if self.has_guest_paths or self.evaluator is None:
            return self.evaluator
        return self.evaluator.beneath(folder)


def _host_beneath(folder: Path, host: Host) -> Host:
    local = host.local
    changed: dict[str, Any] = {}
    if local.template is not None:
        changed["template"] = beneath(folder, local.template)
    if local.python is not None and Path(local.python).name != local.python:
        # a bare name such as "python3.12" is looked for in PATH
        changed["python"] = str(beneath(folder, local.python))
    files = {name: getattr(host.hyperv, name) for name in ("ca_file", "credentials_file")}
    hyperv = {name: beneath(folder, path) for name, path in files.items() if path is not None}
    return host.model_copy(
        update={"local": local.model_copy(update=changed), "hyperv": host.hyperv.model_copy(update=hyperv)}
    )
