"""What a lane's PowerShell is started with, and what it is sent first: the loop, then the functions."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hyperv.messages import Line

__all__ = ["Program", "shipped_functions"]

_HERE = Path(__file__).parent

# Short, since a command line holds 8,191 characters: it reads the loop from standard input. One reader serves for good,
# since it reads ahead. `$input` must not occur: PowerShell would then read standard input to its end by itself.
_BOOTSTRAP = (
    "$ProgressPreference='SilentlyContinue';"
    "$TzarIn=New-Object IO.StreamReader([Console]::OpenStandardInput(),[Text.Encoding]::ASCII);"
    ". ([scriptblock]::Create([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($TzarIn.ReadLine()))))"
)


@dataclass(frozen=True, slots=True)
class Program:
    """The loop and the functions of a lane.

    Args:
        sources: the texts of the scripts with the functions.
    """

    sources: tuple[str, ...]

    @property
    def arguments(self) -> Sequence[str]:
        """What `powershell` is started with."""
        encoded = base64.b64encode(_BOOTSTRAP.encode("utf-16-le")).decode("ascii")
        return ("-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-EncodedCommand", encoded)

    @property
    def first_line(self) -> Line:
        """What it is sent first: the loop. From then on it takes requests."""
        loop = (_HERE / "loop.ps1").read_text(encoding="ascii") + "\nStart-TzarLoop -LoopInput $TzarIn\n"
        return Line(base64.b64encode(loop.encode("ascii")))


def shipped_functions() -> tuple[str, ...]:
    """The texts of the functions that come with this package."""
    return tuple(path.read_text(encoding="ascii") for path in sorted((_HERE / "scripts" / "functions").glob("*.ps1")))
