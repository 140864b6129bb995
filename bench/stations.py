"""The stops of a round: which systems there are, what is measured of each, and how the figures are named."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bare_broker import BareBroker
from fleet import Fleet
from pool import Pool
from rounds import latency_figures
from sha256 import Sha256
from work import WORKERS, System

__all__ = ["QUICK", "Amount", "Only", "Station", "chosen", "figures_of", "stations"]


class Only(StrEnum):
    """What can be asked for by itself: systems, and what is measured of them."""

    BARE = "bare"
    POOL = "pool"
    SHA256 = "sha256"
    PROCESS = "process"
    POWER = "power"
    THROUGHPUT = "throughput"
    LATENCY = "latency"
    WIRE = "wire"
    IN_PLACE = "in_place"


MEASURES = (Only.THROUGHPUT, Only.LATENCY, Only.WIRE, Only.IN_PLACE)


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is measured at once: evaluations, round trips, large genomes and their bytes."""

    evaluations: int = 4000
    round_trips: int = 300
    large: int = 24
    large_bytes: int = 11_000_000


QUICK = Amount(evaluations=100, round_trips=10, large=2, large_bytes=1_000_000)


@dataclass(frozen=True, slots=True)
class Station:
    """One stop of a round: a system, what is measured of it, and how its figures are named."""

    system: Only
    make: Callable[[], System]
    measures: tuple[Only, ...]
    naming: str = "{}"


def stations(folder: Path) -> tuple[Station, ...]:
    """All stops of a round. Fleets keep their state beneath `folder`."""
    small = (Only.THROUGHPUT, Only.LATENCY)
    return (
        Station(Only.BARE, BareBroker, (*small, Only.WIRE), "bare_{}"),
        Station(Only.PROCESS, lambda: Fleet("process", True, folder), (*small, Only.IN_PLACE)),
        Station(Only.PROCESS, lambda: Fleet("process", False, folder), (Only.WIRE,)),
        Station(Only.POWER, lambda: Fleet("power", True, folder), (*small, Only.IN_PLACE), "{}_power"),
        Station(Only.POWER, lambda: Fleet("power", False, folder), (Only.WIRE,), "{}_power"),
        Station(Only.SHA256, Sha256, (Only.IN_PLACE,)),
        Station(Only.POOL, Pool, small, "pool_{}"),
    )


def chosen(all_stations: Sequence[Station], only: Sequence[Only]) -> list[Station]:
    """The stations that `only` asks for. It narrows systems where it names any, and measures where it names any."""
    measures = [one for one in only if one in MEASURES] or MEASURES
    systems = [one for one in only if one not in MEASURES] or list(Only)
    return [
        Station(station.system, station.make, kept, station.naming)
        for station in all_stations
        if station.system in systems and (kept := tuple(one for one in station.measures if one in measures))
    ]


def figures_of(station: Station, amount: Amount) -> dict[str, float]:
    """Starts the station's system, measures it, stops it. The names are those of the JSON.

    Raises:
        BenchError: it could not be measured.
    """
    system = station.make()
    try:
        system.start()
        found = dict(_measured(system, station.measures, amount))
    finally:
        system.stop()
    if station.system is Only.SHA256:
        return found
    return {station.naming.format(name): value for name, value in found.items()}


def _measured(system: System, measures: Sequence[Only], amount: Amount) -> Iterator[tuple[str, float]]:
    for measure in measures:
        match measure:
            case Only.THROUGHPUT:
                system.throughput(amount.evaluations // 4, 256)  # what is loaded at first use is loaded now
                yield "evaluations_per_s", system.throughput(amount.evaluations, 256)
            case Only.LATENCY:
                yield from latency_figures(system.idle_latency(amount.round_trips)).items()
            case Only.WIRE:
                system.wire(min(amount.large, WORKERS), amount.large_bytes)
                yield "wire_mb_s", system.wire(amount.large, amount.large_bytes)
            case Only.IN_PLACE if isinstance(system, Sha256):
                yield "sha256_mb_s", system.in_place(amount.large, amount.large_bytes)
                yield "sha256_one_processor_mb_s", system.one_processor(amount.large, amount.large_bytes)
            case Only.IN_PLACE:
                system.in_place(min(amount.large, WORKERS), amount.large_bytes)
                yield "in_place_mb_s", system.in_place(amount.large, amount.large_bytes)
