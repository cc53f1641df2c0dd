"""What it costs a push service that its page is looked at while pushes come, and how the page is then."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from time import perf_counter, sleep

from bench import browser, set_ups
from bench.framework import Contestant, Missing, Options, Report, Row, Sample, in_ms, measure, percentile, ratio, tail
from bench.http_load import open_loop, run_paced
from bench.load import BODY
from bench.meter import Meter
from bench.page_reader import load
from bench.processes import started
from bench.set_ups import Running

RATE = 1_000
"""Pushes a second."""

DEVICES = 200
"""As many devices and channels as the page shows, all connected."""

MOST = 1.05
"""Goal: of what a push costs the service, and of how long its answer takes, while no page is open."""

COST = "server CPU µs"

_LOADS = 20  # of the page, for one figure
_TRIES = 10
_TOLD = 1.5  # seconds after which pages have been told what came

Watching = Callable[[str], AbstractContextManager[Callable[[], Sample]]]
"""Opens the page at a URL, and yields what tells how it was there since the last time."""


def run(options: Options) -> Report:
    """Measure one service by turns: its page closed, read by a program, open in Chromium, and closed once more."""
    devices = options.sized(DEVICES, 5)
    report = Report(
        "page", f"{RATE:,} {BODY}-byte POSTs a second to {devices} connected devices of one service, by turns"
    )
    seconds = 0.3 if options.quick else 3.0
    with set_ups.tocsin_crowd(options, devices, serving="looked_at") as running:
        _posted(running, seconds)  # so that all channels are in memory
        closed = partial(_closed, running, seconds)
        contestants = [Contestant("page closed", closed, "floor")]
        contestants += [
            Contestant(f"page {name}", partial(_looked_at, running, seconds, opened)) for name, opened in WATCHERS
        ]
        contestants.append(Contestant("page closed, once more", closed))
        measure(report, contestants, options.rounds)
    report.remarks += verdicts(report.rows)
    return report


def _closed(running: Running, seconds: float) -> Sample:
    _post(running, min(seconds, _TOLD))  # until nothing is noted any more for the last one that looked
    return _post(running, seconds)


def _looked_at(running: Running, seconds: float, opened: Watching) -> Sample:
    url = running.service["url"]
    with opened(url) as watched:
        at_rest = _loads(url)
        sleep(_TOLD)
        watched()  # what came before is not counted
        found = _post(running, seconds)
        sleep(_TOLD)
        told = watched()
        loaded = _loaded(running, seconds)
    return {**found, **told, "page ms, at rest": at_rest, "page ms, under load": loaded}


def _post(running: Running, seconds: float) -> Sample:
    """Post for so long, again where the rate is not reached, with which nothing is comparable."""
    for _ in range(_TRIES):
        found = _posted(running, seconds)
        if found["answers/s"] > 0.95 * RATE or seconds < 1:
            return found
    raise Missing(f"the machine does not post {RATE:,} a second, but {found['answers/s']:,.0f}")


def _posted(running: Running, seconds: float) -> Sample:
    set_ups.begin(running.receiver)
    meter, begin = Meter(running.server), perf_counter()
    answers = run_paced(open_loop(running.targets, RATE, seconds))
    rate = len(answers) / (perf_counter() - begin)
    arrived = set_ups.received(running.receiver, len(answers))
    costs = meter.found(len(answers), arrived)
    waits = {**in_ms("answer", tail(answers), 1000), **in_ms("delivery", arrived)}
    return {COST: costs[COST], "answers/s": rate, **waits, **costs, "missed": len(answers) - arrived["count"]}


def _loads(url: str) -> float:
    """Return how long the service takes to answer with its page, in ms."""
    return statistics.median(load(url)[1] for _ in range(_LOADS)) * 1000


def _loaded(running: Running, seconds: float) -> float:
    """Return the same while pushes come."""

    async def both() -> float:
        posts = asyncio.create_task(open_loop(running.targets, RATE, seconds))
        await asyncio.sleep(seconds / 10)
        took = []
        while not posts.done():
            took.append((await asyncio.to_thread(load, running.service["url"]))[1])
            await asyncio.sleep(seconds / _LOADS)
        await posts
        return statistics.median(took) * 1000

    return run_paced(both())


@contextmanager
def _read(url: str) -> Iterator[Callable[[], Sample]]:
    with started("bench.page_reader", url) as reader:
        reader.line()

        def found() -> Sample:
            reader.tell("found")
            return _delays(reader.line()["delays"])

        yield found


@contextmanager
def _browsed(url: str) -> Iterator[Callable[[], Sample]]:
    with browser.looking_at(url) as page:

        def found() -> Sample:
            delays, share = page.found()
            return {**_delays(delays), "browser of a core": share}

        yield found


def _delays(delays: Sequence[float]) -> Sample:
    """Return how long after its answer each row was there."""
    waits = {f"row p{percent} ms": percentile(delays, percent) for percent in (50, 99)} if delays else {}
    return {**waits, "rows": len(delays)}


WATCHERS: tuple[tuple[str, Watching], ...] = (("read by a program", _read), ("open in Chromium", _browsed))
"""Who has the page open, and how."""


def verdicts(rows: Sequence[Row]) -> list[str]:
    """Say what a push costs, and how long its answer takes, beside a page that is closed in the same round."""
    found = []
    for closed, row in ((rows[0], row) for row in rows[1:] if rows[0].role == "floor"):
        cost, p50, p99 = (ratio(row, closed, column) for column in (COST, "answer p50 ms", "answer p99 ms"))
        found.append(
            f"{row.name[0].upper()}{row.name[1:]}: {cost:.3f} of the service's CPU a push (goal: {MOST:g} at most),"
            f" {p50:.2f} of the p50 and {p99:.2f} of the p99 of its answers."
        )
    return found
