"""A platform of some size, in a process of its own: ``python -m bench.scaled STATE LOOP PAYLOADS CHANNELS``.

It prints one sample. The state folder holds the channels ``c0``, ``c1``, ... already.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from time import perf_counter, process_time, time_ns

from bench.durable import WINDOW, all_ended, make
from bench.framework import Sample, run_on
from bench.load import APP, BODY, NEVER, ServiceEnd, frame
from bench.processes import resident
from bench.receiving import say
from tocsin.actors.lifecycle import open_platform
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.embedded import local_session

_AWAY = "an app that is away"
_CHANNEL = "INSERT INTO channel (channel, app, remote_id, uri, expires) VALUES (?, ?, ?, ?, ?)"
_STORED = (
    "INSERT INTO inbox (sequence, channel, id, type, body, attempt, expires) VALUES (?, 'away', ?, 'raw', ?, 0, NULL)"
)
_LAST = "SELECT coalesce(max(sequence), 0) FROM inbox"


def prefill(state: Path, channels: int, stored: int) -> None:
    """Make a state with so many channels, and so many payloads that wait for an app that is away."""
    path = asyncio.run(make(state))
    names = [(f"c{number}", APP, f"{number:036x}") for number in range(channels)]
    rows = [(name, app, remote_id, f"http://push.test/w/?token={name}", NEVER) for name, app, remote_id in names]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executemany(_CHANNEL, [*rows, ("away", _AWAY, "0" * 36, "http://push.test/w/?token=away", NEVER)])
        bodies = ((number, f"stored {number}", bytes(BODY)) for number in range(1, stored + 1))
        connection.executemany(_STORED, bodies)
        connection.commit()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def through(state: Path, payloads: int, channels: int) -> Sample:
    """Attach a handler to every channel, then send payloads to them in turn until all have ended."""
    with closing(sqlite3.connect(state / "platform.db")) as connection:
        (last,) = connection.execute(_LAST).fetchone()
    end = ServiceEnd(WINDOW, record=False)
    app = _Counting()
    begin = perf_counter()
    async with open_platform(state, end.dial) as platform, local_session(platform, APP) as session:
        for number in range(channels):
            session.subscribe(f"c{number}", app.handler)
        base = time_ns()  # ids that no earlier round had
        end.load([frame(base, f"c{channels - 1}")])
        await app.wait(1)
        ready = perf_counter() - begin
        frames = [frame(base + number, f"c{number % channels}") for number in range(1, payloads + 1)]
        start, cpu = perf_counter(), process_time()
        end.load(frames)
        await app.wait(payloads + 1)
        await all_ended(state / "platform.db", last)
        seconds, cpu = perf_counter() - start, process_time() - cpu
        return {
            "payloads/s": payloads / seconds,
            "CPU µs a payload": 1e6 * cpu / payloads,
            "start s": ready,
            "RSS MiB": resident(),
        }


class _Counting:
    """Handles payloads, and knows how many."""

    def __init__(self) -> None:
        self._left = 0
        self._handled = 0
        self._enough = asyncio.Event()

    async def handler(self, args: PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        self._handled += 1
        if self._handled == self._left:
            self._enough.set()

    async def wait(self, count: int) -> None:
        """Wait until so many were handled."""
        self._left = count
        self._enough.clear()
        if self._handled < count:
            await self._enough.wait()


def main(state: str, loop: str, payloads: str, channels: str) -> None:
    """Print what one run found."""
    say(run_on(loop, partial(through, Path(state), int(payloads), int(channels))))


if __name__ == "__main__":
    main(*sys.argv[1:])
