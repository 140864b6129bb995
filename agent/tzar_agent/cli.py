"""The command `tzar-agent`."""

import argparse
from pathlib import Path

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: the arguments; None: those of the process.

    Returns:
        The exit code.
    """
    parser = argparse.ArgumentParser(prog="tzar-agent", description="Plays games inside a VM for tzar-actors.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="wait for an identity, then play for its supervisor until told to end")
    run.add_argument("--home", type=Path, required=True, help="the folder where identity.json comes in")
    arguments = parser.parse_args(argv)

    from tzar_agent.agent import run_agent  # here, so that --help needs no libraries

    return run_agent(arguments.home)
