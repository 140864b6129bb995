"""The sections of the settings but for the evaluator's: what each value means, may be, and is by default."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from tzar_actors.settings.hyperv_host import HyperVHost
from tzar_actors.settings.section import Count, Name, Port, Seconds, Section, Text, allowing

__all__ = ["Fleet", "Heartbeat", "Host", "Limits", "LocalHost", "Log", "Recovery", "Retention"]


class Fleet(Section):
    """The fleet as a whole."""

    name: Name = Field(default="tzar", description="The fleet's name, which its VMs, disks and folders carry.")
    state_dir: Path | None = Field(
        default=None,
        description="Folder of the journal, the keys and the genomes. "
        "Without it: .tzar/NAME beside this file, or in the current folder where there is no file.",
        examples=[".tzar/tzar"],
    )
    listen: str = Field(
        default="127.0.0.1",
        description="Address that agents and trainers dial; 0.0.0.0 is every address of this machine.",
        json_schema_extra=allowing("an IP address"),
    )
    port: Port = Field(
        default=0, description="Port for control. 0: chosen at the first start and kept in the state folder."
    )
    blob_port: Port = Field(
        default=0, description="Port for genomes and artifacts. 0: chosen at the first start and kept."
    )
    on_trainer_exit: Literal["drain", "linger", "stop"] = Field(
        default="drain",
        description="When the last trainer has gone. drain: finish what was accepted, then end; "
        "linger: wait for the next trainer; stop: end now, what is open stays in the journal. "
        "`tzar supervise` lingers, unless its own option says otherwise.",
    )
    drain_grace_s: Annotated[float, Field(strict=True, ge=0)] = Field(
        default=10.0,
        description="Seconds after the last trainer has gone until draining begins: it may only be reconnecting.",
    )
    durability: Literal["power", "process"] = Field(
        default="power",
        description="What a committed result survives. power: a power cut; "
        "process: a crash of the supervisor, but not of the machine, at a smaller cost.",
    )
    share_blobs: bool = Field(
        default=True,
        strict=True,
        description="Whether agents of local VMs open large genomes in the spool, in place of fetching them.",
    )
    orphan_s: Seconds = Field(
        default=60.0, description="Seconds without a supervisor after which the agent of a local VM ends."
    )

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, listen: str) -> str:
        try:
            ipaddress.ip_address(listen)
        except ValueError:
            raise ValueError(f'"{listen}" is not an IP address; allowed: one such as 127.0.0.1 or 0.0.0.0') from None
        return listen

    @model_validator(mode="after")
    def _ports_differ(self) -> "Fleet":
        if self.port and self.port == self.blob_port:
            raise ValueError(f"port and blob_port are both {self.port}; allowed: two different ports, or 0")
        return self


class LocalHost(Section):
    """How VMs of the driver `local` are made: each is a process tree of this machine, in a folder of its own."""

    template: Path | None = Field(
        default=None,
        description="Folder that each VM's own folder is a copy of. Without it: an empty one.",
        examples=["template"],
    )
    python: Text | None = Field(
        default=None,
        description="Python that runs the agents and has tzar-agent installed. Without it: the supervisor's own.",
        examples=[".venv/bin/python"],
    )


class Host(Section):
    """One host of VMs. Without any, there is one local host named `local`.

    A further driver is a further name in `driver` and a table of that name here.
    """

    name: Name = Field(default="local", description="The host's name, each only once.")
    driver: Literal["local", "hyperv", "hyperv-fake"] = Field(
        default="local",
        description="What creates and powers the VMs of this host. `hyperv-fake` is `hyperv` on a host that is made up:"
        " what `[hosts.hyperv]` says is done in memory, and the guests are local processes, made as `[hosts.local]`"
        " says.",
    )
    vms: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        default=4, description="How many VMs the host carries."
    )
    boots_at_a_time: Count = Field(default=4, description="How many of its VMs may boot at the same time.")
    advertise: Text | None = Field(
        default=None,
        description="Address under which this host's VMs reach the supervisor. Without it: the one it listens on.",
        examples=["192.168.1.10"],
    )
    local: LocalHost = Field(default=LocalHost(), description="Settings of the driver `local`.")
    hyperv: HyperVHost = Field(default=HyperVHost(), description="Settings of the driver `hyperv`.")

    @model_validator(mode="after")
    def _guests_have_addresses(self) -> "Host":
        guests = self.hyperv.guest_range
        if self.driver != "local" and guests and int(guests[1]) - int(guests[0]) + 1 < self.vms:
            raise ValueError(
                f'vms is {self.vms} and hyperv.guest_addresses is "{self.hyperv.guest_addresses}"; '
                "allowed: at least as many addresses as VMs"
            )
        if self.driver == "hyperv" and guests and self.advertise is not None and not _is_address(self.advertise):
            raise ValueError(
                f'advertise is "{self.advertise}", and guests that are given their addresses have no names to ask for; '
                'allowed: an IP address, or hyperv.guest_addresses = "dhcp"'
            )
        return self


class Heartbeat(Section):
    """How soon a silent agent counts as lost."""

    interval_s: Seconds = Field(default=1.0, description="Seconds between two heartbeats, in either direction.")
    misses: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(
        default=3, description="After so many intervals without any word the peer counts as silent."
    )
    reconnect_grace_s: Annotated[float, Field(strict=True, ge=0)] = Field(
        default=10.0,
        description="Seconds that an agent whose connection broke has to come back, where it may still be alive.",
    )


class Recovery(Section):
    """How a VM that failed comes back, and when something stronger than a restart is tried."""

    restarts: Count = Field(
        default=5, description="So many failures of a VM within the window are answered by a restart."
    )
    window_s: Seconds = Field(default=600.0, description="Length of that window in seconds.")
    first_delay_s: Seconds = Field(
        default=0.2, description="Seconds before the first restart; each further one waits twice that."
    )
    longest_delay_s: Seconds = Field(default=60.0, description="The longest wait before a restart, in seconds.")
    boot_timeout_s: Seconds = Field(
        default=60.0, description="Seconds from a VM's start until its agent must have said hello."
    )
    call_timeout_s: Seconds = Field(
        default=60.0,
        description="Seconds after which a driver's call that is not answered is given up. A removal has twice as long,"
        " a creation five times, a question half; a start has the longest boot_timeout_s more, and what"
        " asks a VM to stop the longest stop_timeout_s of the hosts, or 10 s where all are local.",
    )
    probation_s: Seconds = Field(
        default=600.0,
        description="Seconds that a VM which nothing brought back stays in quarantine, until it has one trial. "
        "Each further quarantine in a row lasts twice as long, up to a day.",
    )

    @model_validator(mode="after")
    def _delays_grow(self) -> "Recovery":
        if self.first_delay_s > self.longest_delay_s:
            raise ValueError(
                f"first_delay_s is {self.first_delay_s} and longest_delay_s is {self.longest_delay_s}; "
                "allowed: a first delay that is not above the longest"
            )
        return self


class Limits(Section):
    """Bounds. Whoever exceeds one gets a clear error, and nobody else notices."""

    genome_mib: Count = Field(default=64, description="The largest genome, in MiB.")
    queue: Count = Field(default=100_000, description="How many evaluations may be open at once.")
    spool_gib: Count = Field(
        default=16,
        description="How much large genomes may take in the spool, in GiB. Beyond it those whose evaluations have"
        " ended are removed, oldest first; when that does not help, no further ones are taken (`spool_full`).",
    )
    disk_low_mib: Count = Field(
        default=512,
        description="With less free on the disk of the state folder, in MiB, no new evaluation is taken (`disk_full`)"
        " until there is a quarter more; what was accepted is played on.",
    )
    cache_mib: Count = Field(
        default=512, description="How much disk an agent keeps for genomes that may be asked for again, in MiB."
    )


class Retention(Section):
    """How long evaluations that have ended are known: their outcomes, their attempts and their genomes.

    A key that is not known any more is a new one. What ended within the last hour is kept in any case.
    """

    keep_days: Annotated[float, Field(strict=True, gt=0)] = Field(
        default=30.0, description="Days after its end for which an evaluation is kept."
    )
    journal_gib: Count = Field(
        default=8,
        description="How much the journal may hold, in GiB. Beyond it evaluations that have ended go before their time,"
        " oldest first. The file does not shrink: room that is freed in it is used again.",
    )


class Log(Section):
    """The log of events, which is also what every monitor reads."""

    file: Path | None = Field(
        default=None,
        description="The file, JSON lines. Without it: events.jsonl in the state folder.",
        examples=["events.jsonl"],
    )
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least level that is written."
    )
    rotation: Annotated[str, Field(pattern=r"^[1-9][0-9]* (KB|MB|GB)$")] = Field(
        default="100 MB",
        description="At this size a new file is begun and the old one renamed.",
        json_schema_extra=allowing('a size, such as "500 KB", "100 MB" or "2 GB"'),
    )
    retention: Count = Field(default=10, description="How many old files are kept.")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
