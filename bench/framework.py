"""What all benches share: rounds that alternate between the contestants, medians, and the report that they make.

Every contestant runs once per round, in turn, so that a machine that drifts drifts for all. What is printed is the
median of the rounds; a ratio is the median of the ratios within each round.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import statistics
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

from attrs import Factory, define, frozen

T = TypeVar("T")
Sample = dict[str, float]
"""What one run found: figures by the name of their column, the main one first; the unit stands in the name."""

Role = Literal["product", "floor", "peer"]


class Missing(Exception):
    """Something optional is not installed; the text says what, and what to do."""


@frozen
class Options:
    """How to measure."""

    rounds: int = 5
    quick: bool = False
    """Only prove that everything runs: tiny rounds, whose figures mean nothing."""
    loops: tuple[str, ...] = ("asyncio",)
    """The event loops to measure on: ``asyncio``, ``uvloop``."""
    folder: Path = Path("/var/tmp")  # noqa: S108  # only the place for private folders; /tmp may be in memory
    """Where files are written while measuring; it must be on a disk."""
    minutes: float = 10.0
    """How long a soak takes."""
    rate: float | None = None
    """Payloads a second of a soak; None: half of what ``durable`` reaches."""

    def sized(self, full: int, tiny: int) -> int:
        """Return how much one round is to do."""
        return tiny if self.quick else full

    @contextmanager
    def state(self) -> Iterator[Path]:
        """Lend an empty folder on the disk."""
        with TemporaryDirectory(prefix="tocsin-bench-", dir=self.folder) as folder:
            yield Path(folder)


@frozen
class Contestant:
    """Something that is measured, and what it does not promise."""

    name: str
    run: Callable[[], Sample]
    role: Role = "product"
    note: str = ""


@define
class Row:
    """A contestant's samples, one per round."""

    name: str
    role: Role
    note: str
    samples: list[Sample] = Factory(list)

    @property
    def columns(self) -> list[str]:
        """The names of the figures."""
        return list(self.samples[0]) if self.samples else []

    def figures(self, column: str) -> list[float]:
        """Return a column's figure of each round."""
        return [sample[column] for sample in self.samples if column in sample]

    def median(self, column: str) -> float | None:
        """Return the median over the rounds; None where there is no such figure."""
        figures = self.figures(column)
        return statistics.median(figures) if figures else None


@define
class Report:
    """What a bench found."""

    name: str
    claim: str
    """One sentence: what was measured."""
    rows: list[Row] = Factory(list)
    skipped: list[str] = Factory(list)
    """Sentences about what could not be measured here."""
    remarks: list[str] = Factory(list)
    series: dict[str, list[tuple[float, float]]] = Factory(dict)
    """What was sampled over time, by name: pairs of seconds and value."""

    @property
    def columns(self) -> list[str]:
        """The names of all figures, in the order in which they first appear."""
        return list(dict.fromkeys(column for row in self.rows for column in row.columns))

    @property
    def floor(self) -> Row | None:
        """The row that the others are compared with."""
        return next((row for row in self.rows if row.role == "floor"), None)

    def ratio(self, row: Row) -> float | None:
        """Return a row's main figure over that of the floor, from the same rounds."""
        if self.floor is None or not row.columns or row.columns[0] not in self.floor.columns:
            return None
        column = row.columns[0]
        return ratio(row, self.floor, column)


def measure(report: Report, contestants: Sequence[Contestant], rounds: int) -> Report:
    """Run every contestant once per round, in turn, and put the samples into the report.

    One that turns out to be missing is skipped from then on.
    """
    rows = {each.name: Row(each.name, each.role, each.note) for each in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            if contestant.name in rows:
                gc.collect()
                try:
                    rows[contestant.name].samples.append(contestant.run())
                except Missing as missing:
                    del rows[contestant.name]
                    report.skipped.append(f"{contestant.name}: {missing}")
    report.rows.extend(rows.values())
    return report


def ratio(row: Row, other: Row, column: str) -> float:
    """Return one row's figure over that of another: the median of the ratios within each round."""
    pairs = zip(row.figures(column), other.figures(column), strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def run_on(loop: str, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function on a new event loop of that kind."""
    with asyncio.Runner(loop_factory=_loop_factory(loop)) as runner:
        return runner.run(main())


def _loop_factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if loop == "asyncio":
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = optional("uvloop").new_event_loop
    return factory


def optional(module: str, package: str = "") -> Any:
    """Import a module of the extra ``bench``.

    :raises Missing: it is not installed, or does not work here.
    """
    try:
        return import_module(module)
    except ImportError as failure:
        name = package or module.partition(".")[0]
        raise Missing(f"{name} cannot be imported ({failure}): pip install '.[bench]'") from None


@contextmanager
def open_files(wanted: int) -> Iterator[None]:
    """Let this process and its children open so many files.

    :raises Missing: the system does not allow it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise Missing(f"the system allows {hard:,} descriptors, and it takes {wanted:,} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted) if soft != resource.RLIM_INFINITY else soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of the values do not exceed (nearest rank).

    :raises ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def tail(values: Sequence[float]) -> dict[str, float]:
    """Return what half, 99 and 99.9 percent of the values do not exceed, as ``p50``, ``p99`` and ``p99.9``."""
    ordered = sorted(values)  # once: sorting them again takes next to nothing
    return {f"p{percent:g}": percentile(ordered, percent) for percent in (50, 99, 99.9)}


def in_ms(name: str, found: Mapping[str, float], factor: float = 1.0) -> Sample:
    """Return the columns for a tail, or for what else has its figures.

    :param factor: what makes milliseconds of the figures.
    """
    return {f"{name} {each} ms": found[each] * factor for each in ("p50", "p99", "p99.9") if each in found}


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return by how much y grows with x: the least-squares line through the points; 0 where they have one x only."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope
