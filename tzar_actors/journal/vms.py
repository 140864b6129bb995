"""What a journal says of the fleet's VMs."""

import sqlite3
from dataclasses import dataclass

__all__ = ["JournalledVm", "vms_in"]


@dataclass(frozen=True, slots=True)
class JournalledVm:
    """What the journal knows of one VM.

    Args:
        vm: its name.
        host: its host's name.
        machine_id: the hypervisor's id of it; None: it is not there.
        incarnation: the last one that it was given; 0: none.
        public_key: of that incarnation.
        is_held: a person stopped it.
    """

    vm: str
    host: str
    machine_id: str | None
    incarnation: int
    public_key: str | None
    is_held: bool


def vms_in(db: sqlite3.Connection, version: int) -> dict[str, JournalledVm]:
    """All VMs that the journal ever heard of, by name.

    Args:
        db: its file.
        version: of that file's schema.
    """
    held = "held" if version >= 3 else "0"
    rows = db.execute(f"SELECT vm, host, machine_id, incarnation, public_key, {held} FROM vms")
    return {vm: JournalledVm(vm, host, id_, number, key, bool(is_held)) for vm, host, id_, number, key, is_held in rows}
