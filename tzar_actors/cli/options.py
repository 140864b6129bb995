"""How commands find the fleet that is meant."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from tzar_actors.settings import Settings, load

__all__ = ["ConfigOption", "settings_from"]

ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="The fleet's TOML file. Without it: the defaults.", dir_okay=False),
]


def settings_from(config: Path | None) -> Settings:
    """The settings in the file, or the defaults.

    Raises:
        ConfigError: they cannot be used.
    """
    return Settings.from_mapping({}) if config is None else load(config)
