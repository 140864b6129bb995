"""Error records as the loop reports them, and the two kinds that functions raise: ours, and those of cmdlets."""

from dataclasses import asdict, dataclass

__all__ = [
    "DISK_FULL",
    "IN_USE",
    "OUT_OF_MEMORY",
    "Record",
    "ScriptError",
    "cmdlet_error",
    "refused_by_system",
    "tzar_error",
]

OUT_OF_MEMORY, DISK_FULL, IN_USE = 0x8007000E, 0x80070070, 0x80070020
_INVALID_OPERATION = -2146233079  # what .NET gives every exception of a kind, and so says nothing
_GENERAL = -2146233088


@dataclass(frozen=True, slots=True)
class Record:
    """What is told of an error, field by field as in loop.ps1."""

    message: str
    id: str
    category: str
    exception: str
    hresult: int
    cmdlet: str = ""
    target: str = ""
    code: str = ""

    def as_json(self) -> dict[str, object]:
        """For a reply."""
        return asdict(self)


class ScriptError(Exception):
    """A function threw."""

    def __init__(self, record: Record) -> None:
        super().__init__(record.message)
        self.record = record


def tzar_error(code: str, message: str, *, category: str = "InvalidOperation", target: str = "") -> ScriptError:
    """What New-TzarError makes."""
    return ScriptError(
        Record(
            message,
            id=code,
            category=category,
            exception="System.InvalidOperationException",
            hresult=_INVALID_OPERATION,
            target=target,
            code=code,
        )
    )


def cmdlet_error(
    cmdlet: str, error_id: str, message: str, *, category: str = "NotSpecified", hresult: int = 0
) -> ScriptError:
    """What a cmdlet of Hyper-V raises: its HRESULT stands in the message alone.

    Args:
        cmdlet: its name, as `Start-VM`.
        error_id: the first part of its FullyQualifiedErrorId.
        message: its text.
        category: PowerShell's.
        hresult: as Windows writes it, 0x8007000E; 0: it has none.
    """
    return ScriptError(
        Record(
            f"{message} (0x{hresult:08X})." if hresult else message,
            id=f"{error_id},Microsoft.HyperV.PowerShell.Commands.{cmdlet.replace('-', '')}",
            category=category,
            exception="Microsoft.HyperV.PowerShell.VirtualizationException",
            hresult=_GENERAL,
            cmdlet=cmdlet,
        )
    )


def refused_by_system(function: str, error: OSError) -> ScriptError:
    """What .NET raises where the system refuses something, here this machine's in place of Windows."""
    known = {2: 0x80070002, 13: 0x80070005, 17: 0x80070050, 28: DISK_FULL}
    hresult = known.get(error.errno or 0, 0x80131620)
    return ScriptError(
        Record(
            str(error),
            id=f"IOException,{function}",
            category="NotSpecified",
            exception="System.IO.IOException",
            hresult=hresult - 2**32,
            cmdlet=function,
        )
    )
