"""The command `tzar`. Each command imports what it needs when it runs, so that `tzar --help` is there at once."""

import sys

import typer
from rich.console import Console

from tzar_actors.cli import config, evaluate, host, results, simulate, status, supervise, vm
from tzar_actors.cli.demo import demo
from tzar_actors.errors import ConfigError, TzarError

__all__ = ["app", "main"]

app = typer.Typer(
    name="tzar",
    help="Keeps a fleet of game VMs playing for neuroevolution.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(demo)
app.command("supervise")(supervise.supervise_command)
app.command("evaluate")(evaluate.evaluate_command)
app.command("results")(results.results_command)
app.command("status")(status.status_command)
app.command("simulate")(simulate.simulate_command)
app.add_typer(vm.app, name="vm")
app.add_typer(host.app, name="host")
app.add_typer(config.app, name="config")


def main() -> None:
    """The console script: an error of ours is told in words, with exit code 2 when the configuration is to blame."""
    try:
        app()
    except TzarError as error:
        Console(stderr=True, soft_wrap=True).print(str(error), markup=False, highlight=False)
        sys.exit(2 if isinstance(error, ConfigError) else 1)


@app.command("version")
def version_command() -> None:
    """Prints the version."""
    from importlib.metadata import version

    typer.echo(version("tzar-actors"))


if __name__ == "__main__":
    main()
