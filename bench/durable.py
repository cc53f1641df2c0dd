"""Payloads from the device's connection through fsync, acknowledgement and handler to done, in one process."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

from bench.framework import Contestant, Options, Report, Sample, measure, run_on
from bench.load import BODY, ServiceEnd, drive
from tocsin.actors.lifecycle import open_platform

WINDOW = 1024
"""Payloads in flight at most, as with the push service."""

BATCH = 512
"""Rows of one commit of the floor."""

_POLL = 0.001  # seconds between looks at the inbox while the last payloads end
_OPEN = "SELECT 1 FROM inbox WHERE sequence > ? AND open = 1 LIMIT 1"
_INSERT = "INSERT INTO inbox (sequence, channel, id, type, body, attempt, expires) VALUES (?, ?, ?, ?, ?, ?, ?)"
_END = "DELETE FROM inbox WHERE sequence BETWEEN ? AND ?"


@contextmanager
def looking_at(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database beside its owner, to look at it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def run(options: Options) -> Report:
    """Measure the durable way beside what SQLite can do at all."""
    report = Report(
        "durable", f"{BODY}-byte payloads accepted, fsynced, acknowledged, handled and ended, in one process"
    )
    report.remarks.append(
        "Payloads are in flight until they are acknowledged: where that goes faster than handling, those that wait in the"
        " inbox make up the time to the handler."
    )
    payloads = options.sized(50_000, 50)
    floor = f"floor: the same rows written and deleted by sqlite3, {BATCH} a commit"
    contestants = [Contestant(floor, partial(_floor, options, payloads), "floor")]
    for loop in options.loops:
        for window, channels in ((16, 1), (WINDOW, 1), (WINDOW, 32)):
            name = f"tocsin, {window:,} in flight, {channels} channel{'s' * (channels > 1)}, {loop}"
            count = payloads if window == WINDOW else payloads // 5
            contestants.append(Contestant(name, partial(_tocsin, options, loop, count, window, channels)))
    return measure(report, contestants, options.rounds)


def _tocsin(options: Options, loop: str, payloads: int, window: int, channels: int) -> Sample:
    with options.state() as state:
        return run_on(loop, partial(through_disk, state, payloads, window, channels))


async def through_disk(state: Path, payloads: int, window: int, channels: int) -> Sample:
    """Send payloads through a platform on a folder."""
    end = ServiceEnd(window)

    async with open_platform(state, end.dial) as platform:
        return await drive(platform, end, payloads, channels, partial(all_ended, state / "platform.db"))


async def all_ended(path: Path, after: int = 0) -> None:
    """Wait until no row of the inbox with a later sequence number is open."""
    with looking_at(path) as connection:
        while connection.execute(_OPEN, (after,)).fetchone():  # noqa: ASYNC110  # the product has no event for it
            await asyncio.sleep(_POLL)


def _floor(options: Options, rows: int) -> Sample:
    with options.state() as state:
        seconds = write_and_end(asyncio.run(make(state)), rows)
    return {"payloads/s": rows / seconds}


async def make(state: Path) -> Path:
    """Make the product's database in a folder, and return its path."""
    async with open_platform(state, ServiceEnd(WINDOW).dial):
        return state / "platform.db"


def write_and_end(path: Path, rows: int) -> float:
    """Write rows and delete them, each batch in a commit with the deletion of the one before; return the seconds."""
    batches = [
        [(number, "c1", f"{number:016X}", "raw", bytes(BODY), 1, None) for number in range(start, start + BATCH)]
        for start in range(0, rows, BATCH)
    ]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        start = perf_counter()
        ended = (0, 0)
        for batch in [*batches, []]:
            connection.executemany(_INSERT, batch)
            connection.execute(_END, ended)
            connection.commit()
            ended = (batch[0][0], batch[-1][0]) if batch else ended
        return perf_counter() - start
