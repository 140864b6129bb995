"""How commands find the fleet that is meant."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from tzar_actors.settings import Settings, load

__all__ = ["ConfigOption", "JsonOption", "VmArgument", "VmsArgument", "settings_from"]

ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The fleet's TOML file. Without it: the defaults.", dir_okay=False),
]

JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
VmArgument: TypeAlias = Annotated[str, typer.Argument(metavar="VM", help="Name of a VM.")]
VmsArgument: TypeAlias = Annotated[list[str] | None, typer.Argument(metavar="VM...", help="Names of VMs.")]


def settings_from(config: Path | None) -> Settings:
    """The settings in the file, or the defaults.

    Raises:
        ConfigError: they cannot be used.
    """
    return Settings.from_mapping({}) if config is None else load(config)
