"""`tzar supervise`: a supervisor in the foreground, for a terminal or a service manager."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from tzar_actors.cli.options import ConfigOption, settings_from

__all__ = ["supervise_command"]


def supervise_command(
    config: ConfigOption = None,
    evaluator: Annotated[
        str | None, typer.Option(help='"module:function", in place of the configuration\'s; from the current folder.')
    ] = None,
    on_trainer_exit: Annotated[
        Literal["drain", "linger", "stop"],
        typer.Option(help="What to do when the last trainer has gone; a service lingers."),
    ] = "linger",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log to the file alone.")] = False,
) -> None:
    """Runs a supervisor until it is told to end."""
    from tzar_actors.app import supervise
    from tzar_actors.client.fleet import ACCESS_FILE
    from tzar_actors.gateway.keys import TrainerAccess
    from tzar_actors.settings import require_evaluator, with_evaluator

    settings = settings_from(config)
    if evaluator is not None:
        settings = with_evaluator(settings, evaluator, [Path.cwd()])
    require_evaluator(settings, config or "the defaults")
    fleet = settings.fleet.model_copy(update={"on_trainer_exit": on_trainer_exit})
    settings = settings.model_copy(update={"fleet": fleet})
    console = Console(stderr=True, soft_wrap=True)

    def ready(access: TrainerAccess) -> None:
        if not quiet:
            console.print(f"ready on {access.endpoint}; trainers connect by {settings.state_dir / ACCESS_FILE}")

    supervise(settings, console=not quiet, on_ready=ready)
