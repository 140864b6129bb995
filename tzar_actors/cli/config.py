"""`tzar config`: writes a fleet's configuration file, and says what is wrong with one."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tzar_actors.errors import ConfigError
from tzar_actors.settings import Settings, load, require_evaluator
from tzar_actors.settings.complaints import nearest
from tzar_actors.settings.template import DRIVERS, SCHEMA_NAME, configuration_toml, schema_json

__all__ = ["app"]

app = typer.Typer(help="The fleet's configuration file.", no_args_is_help=True)

_WRONG = 2  # the exit code of everything that the user has to mend


@app.command()
def init(
    file: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("fleet.toml"),
    driver: Annotated[str, typer.Option(help=f"What creates the VMs: {', '.join(DRIVERS)}.")] = "local",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a whole, commented configuration, and the JSON Schema for editors beside it."""
    if driver not in DRIVERS:
        _refuse(f'--driver: "{driver}" is unknown{nearest(driver, DRIVERS)}; allowed: {", ".join(DRIVERS)}')
    if file.exists() and not force:
        _refuse(f"{file}: is there already. Give another name, or --force to write over it")
    schema = file.parent / SCHEMA_NAME
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(configuration_toml(driver), encoding="utf-8", newline="\n")
        schema.write_text(schema_json(), encoding="utf-8", newline="\n")
    except OSError as error:
        _refuse(f"{error.filename}: cannot be written: {error.strerror}")
    typer.echo(f"Wrote {file}, and {schema} for editors. Set [evaluator] target, then: tzar config check {file}")


@app.command()
def check(file: Annotated[Path, typer.Argument(help="The configuration.")]) -> None:
    """Check a configuration and print what it comes to. Exit code 2: it cannot be used."""
    try:
        settings = load(file)
        require_evaluator(settings, file)
    except ConfigError as error:
        _refuse(str(error))
    typer.echo(f"{file}: good")
    for name, value in _summary(settings):
        typer.echo(f"  {name:<10} {value}")


def _summary(settings: Settings) -> list[tuple[str, str]]:
    spec = require_evaluator(settings).spec()
    called = spec.get("target") or " ".join(spec["argv"])
    return [
        ("fleet", f"{settings.fleet.name}, state in {settings.state_dir}"),
        ("evaluator", f"{spec['kind']}: {called}"),
        *(("host", f"{host.name}: {host.vms} VMs, driver {host.driver}") for host in settings.hosts),
        ("log", f"{settings.log_file}, {settings.log.level} and above"),
    ]


def _refuse(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(_WRONG)
