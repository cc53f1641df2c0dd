"""How long the command takes to look into a state folder in which very many payloads have ended, the start of Python included.

Every one of them is a dead letter that is still kept, which is the most that such a folder can hold: what was handled leaves
nothing behind but a few ids.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter

import anyio

from bench.framework import Contestant, Options, Report, Sample, measure
from bench.processes import ROOT
from tocsin.persistence.sqlite_store import open_sqlite
from tocsin.persistence.store import Changes, DeadPayload, StoredActivator, StoredChannel
from tocsin.protocol.delivery.plain_rows import PlainRow
from tocsin.protocol.platform.activator_registration import NULL_CLSID
from tocsin.protocol.values import DropReason

ENDED = 1_000_000
_AT_ONCE = 4096
_APPS = 20
_CHANNELS = 200
_BODY = b"x" * 300
_REASONS = (DropReason.NOT_HANDLED, DropReason.EXPIRED, DropReason.LAUNCH_FAILED)
_LISTS = (
    ("channels",),
    ("channels", "--app", "app7"),
    ("activators",),
    ("dead-letters",),
    ("dead-letters", "--counts"),
    ("dead-letters", "--app", "app7"),
    ("dead-letters", "--reason", "expired"),
    ("dead-letters", "--app", "app7", "--reason", "expired"),
    ("dead-letters", "--app", "none"),
)


def run(options: Options) -> Report:
    """Measure each verb in a process of its own, on warm files."""
    ended = options.sized(ENDED, 100)
    report = Report("looking_in", f"milliseconds from the start of a process, on a folder of {ended:,} ended payloads")
    with options.state() as state:
        start = perf_counter()
        anyio.run(_fill, state, ended)
        size = (state / "platform.db").stat().st_size / 1024**2
        report.remarks.append(f"The folder was filled in {perf_counter() - start:.0f} s, and has {size:.0f} MiB.")
        numbers = count(1)  # each round has letters of its own to change
        contestants = [
            Contestant("floor: python -c pass", partial(_timed, "-c", "pass"), "floor"),
            *(Contestant(f"tocsin {' '.join(verb)}", partial(_looked, state, *verb)) for verb in _LISTS),
            Contestant("tocsin dead-letters retry ID", lambda: _changed(state, "retry", next(numbers))),
            Contestant("tocsin dead-letters drop ID", lambda: _changed(state, "drop", next(numbers))),
        ]
        for contestant in contestants if not options.quick else ():
            contestant.run()  # warms the files
        return measure(report, contestants, options.rounds)


async def _fill(state: Path, ended: int) -> None:
    async with open_sqlite(state / "platform.db") as store:
        for number in range(_CHANNELS):
            channel = StoredChannel(f"c{number}", f"app{number % _APPS}", "0a", f"http://push.test/{number}", 4e9)
            await store.keep_channel(channel)
        for number in range(_APPS):
            await store.keep_activator(
                StoredActivator(f"app{number}", 1, str(NULL_CLSID), (), cancel_on_condition_loss=False)
            )
        for first in range(1, ended + 1, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, ended + 1))
            dead = [DeadPayload(each, _REASONS[each % len(_REASONS)], "", 1e9 + each) for each in numbers]
            await store.commit(Changes(list(map(_row, numbers)), dead=dead))


def _row(number: int) -> PlainRow:
    return number, _id(number), "raw", _BODY, 1, None, f"c{number * 7919 % _CHANNELS}", "", None


def _id(number: int) -> str:
    """Return an id as a service makes them: in no order."""
    return f"{number * 0x9E3779B97F4A7C15 % 2**64:016X}"


def _looked(state: Path, *verb: str) -> Sample:
    return _timed("-m", "tocsin", *verb, "--state", str(state))


def _changed(state: Path, action: str, number: int) -> Sample:
    return _looked(state, "dead-letters", action, _id(number))


def _timed(*arguments: str) -> Sample:
    start = perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # our own interpreter
    return {"ms": (perf_counter() - start) * 1000}
