"""One service over SQLite beside one over PostgreSQL: what a post costs and how long its sender waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any, Final

from attrs import frozen

from bench import device_channels
from bench.framework import Contestant, Options, Report, Row, Sample, in_ms, measure, open_files, ratio
from bench.http_load import CONNECTIONS, Target, closed_loop
from bench.load import BODY
from bench.meter import Meter
from bench.postgres import Postgres, postgres
from bench.processes import Process, cpu_seconds, started
from bench.wrk import wrk_anew

CHANNELS: Final = 10_000
"""Each of a device of its own, none of which is connected."""

_WARM: Final = 2_000  # posts before the clock starts
_SETTLE: Final = 5.0  # seconds in which it is written down what devices have got, or that they have left
_SPARE: Final = 500  # descriptors that a process needs besides those of devices

ENGINES: Final = ("SQLite", "PostgreSQL")


@frozen
class Node:
    """A service that runs, where it is posted to, and the process id of its database server, where it has one."""

    process: Process
    targets: list[Target]
    server: int | None
    port: int

    def used(self) -> list[float]:
        """Return the CPU seconds of the service and of its database server so far."""
        return [cpu_seconds(self.process.pid), 0.0 if self.server is None else cpu_seconds(self.server)]


def run(options: Options) -> Report:
    """Measure both by turns."""
    report = Report(
        "engines",
        f"{BODY}-byte POSTs of wrk with {CONNECTIONS} connections, and with one alone, to {CHANNELS:,} channels whose devices"
        " are away: each is on disk before its answer",
    )
    measure(report, [Contestant(name, partial(_stored, options, name)) for name in ENGINES], options.rounds)
    rows = {row.name: row for row in report.rows}
    if len(rows) == len(ENGINES):
        report.remarks += _beside(rows["PostgreSQL"], rows["SQLite"])
    report.remarks.append("fsync is on in both; PostgreSQL, the service and wrk share the machine.")
    return report


def _beside(ours: Row, theirs: Row) -> list[str]:
    rate, loaded, alone = (ratio(ours, theirs, each) for each in ("posts/s", "answer p50 ms", "alone p50 ms"))
    return [
        f"PostgreSQL has {rate:.2f} of SQLite's rate; the answer's p50 is {loaded:.2f} times as long, {alone:.2f} times alone."
    ]


@contextmanager
def _node(options: Options, engine: str) -> Iterator[Node]:
    channels = options.sized(CHANNELS, 10)
    with ExitStack() as stack:
        state = stack.enter_context(options.state())
        database: Postgres | None = None
        if engine == "SQLite":
            asyncio.run(device_channels.prefill(state, channels))
            how = ["tocsin", str(state), options.loops[0]]
        else:
            database = stack.enter_context(postgres(options))
            asyncio.run(device_channels.prefill_engine(database.url, channels))
            how = ["engine", str(state), options.loops[0], database.url]
        process = stack.enter_context(started("bench.serving", *how))
        found = process.line()
        targets = device_channels.targets(found, channels, storable=True)
        yield Node(process, targets, None if database is None else database.pid, found["port"])


def _stored(options: Options, engine: str) -> Sample:
    seconds = options.sized(5, 1)
    with options.state() as folder, _node(options, engine) as node:
        asyncio.run(closed_loop(node.targets, options.sized(_WARM, 10)))
        found = _posted(node, seconds, folder)
        alone = wrk_anew(node.targets, seconds, folder, connections=1)
    assert not alone["errors"], alone
    return found | in_ms("alone", alone) | _fetched(options, engine)


def _posted(node: Node, seconds: int, folder: Path) -> Sample:
    meter, before = Meter(node.process.pid), node.used()[1]
    found: dict[str, Any] = wrk_anew(node.targets, seconds, folder)
    assert not found["errors"], found
    database = node.used()[1] - before
    costs = meter.found(found["requests"], None, found["cpu"])
    return {
        "posts/s": found["requests"] / found["seconds"],
        **in_ms("answer", found),
        **costs,
        "database CPU µs": 1e6 * database / found["requests"],
    }


def _fetched(options: Options, engine: str) -> Sample:
    """Return what a notification costs that waits for its device when that comes: beside a device that comes for nothing."""
    with open_files(CHANNELS + _SPARE), _node(options, engine) as node:
        nothing = _visited(options, node, 0)
        asyncio.run(closed_loop(node.targets, len(node.targets)))
        one = _visited(options, node, len(node.targets))
    names = ("fetch CPU µs", "fetch database CPU µs")
    return {name: 1e6 * (a - b) / len(node.targets) for name, a, b in zip(names, one, nothing, strict=True)}


def _visited(options: Options, node: Node, waiting: int) -> list[float]:
    """Have all devices come and get what waits for them; return the CPU seconds that this takes, and let them go."""
    settle = options.sized(1, 0) * _SETTLE
    before = node.used()
    with started("bench.prompt_devices", "tocsin", str(node.port), str(len(node.targets))) as devices:
        devices.line()
        devices.tell(waiting)
        assert devices.line()["count"] == waiting
        sleep(settle)
        after = node.used()
    sleep(settle)  # that all leave at once is no part of it: a busy node may lose its lease by that
    return [now - begun for now, begun in zip(after, before, strict=True)]
