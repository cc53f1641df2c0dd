"""What it costs a push service that its page is looked at while pushes come, and how the page is then."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from time import perf_counter, sleep

from attrs import frozen

from bench import browser, device_channels, set_ups
from bench.framework import Contestant, Missing, Options, Report, Row, Sample, in_ms, measure, percentile, ratio, tail
from bench.http_load import Target, open_loop, run_paced
from bench.load import BODY
from bench.meter import Meter
from bench.page_reader import load
from bench.processes import Process, started

RATE = 1_000
"""Pushes a second."""

DEVICES = 200
"""As many devices and channels as the page shows, all connected."""

MOST = 1.05
"""Goal: of what a push costs the service, and of how long its answer takes, while no page is open."""

COST = "server CPU µs"
BEFORE = "of before"
"""What a push costs over what it cost the same process before the page was opened."""

_LIMITS = ("--channel-rate", "0", "--app-rate", "0", "--address-rate", "0", "--log-level", "error")
_LOADS = 20  # of the page, for one figure
_TRIES = 3
_TOLD = 1.0  # seconds after which pages have been told what came


@frozen
class Service:
    """A ``tocsin serve``, its senders' targets, and the devices."""

    url: str
    process: int
    targets: Sequence[Target]
    devices: Process


Watching = Callable[[str], AbstractContextManager["Callable[[], Sample] | None"]]
"""Opens the page at a URL, and yields what tells how it was there; None where it is not open."""


def run(options: Options) -> Report:
    """Measure the service with its page closed, read by a program, and open in Chromium."""
    devices = options.sized(DEVICES, 5)
    report = Report(
        "page",
        f"{RATE:,} {BODY}-byte POSTs a second to {devices} connected devices of a tocsin serve, its page open or not",
    )
    seconds = 0.3 if options.quick else 5.0
    contestants = [Contestant("page closed", partial(_turn, options, devices, seconds, _closed), "floor")]
    contestants += [
        Contestant(f"page {name}", partial(_turn, options, devices, seconds, opened)) for name, opened in WATCHERS
    ]
    measure(report, contestants, options.rounds)
    report.remarks += verdicts(report.rows)
    return report


def _turn(options: Options, devices: int, seconds: float, opened: Watching) -> Sample:
    """Measure one service, first as nobody has looked at its page, then with the page as it is to be."""
    with _serving(options, devices) as service:
        _posted(service, seconds / 5)  # so that all channels are in memory
        before = _post(service, seconds)
        with opened(service.url) as watched:
            at_rest = _loads(service.url) if watched is not None else 0.0
            sleep(_TOLD)
            if watched is not None:
                watched()  # what came before is not counted
            found = _post(service, seconds)
            if watched is not None:
                sleep(_TOLD)
                found |= watched()
                found |= {"page ms, at rest": at_rest, "page ms, under load": _loaded(service, seconds)}
    return {COST: found[COST], BEFORE: found[COST] / before[COST]} | found


@contextmanager
def _serving(options: Options, devices: int) -> Iterator[Service]:
    with options.state() as state:
        app = asyncio.run(device_channels.prefill(state, devices))
        with started("tocsin", "serve", "--json", "--state", str(state), *_LIMITS) as process:
            found = process.line()
            found |= {"client_id": app.client_id, "client_secret": app.client_secret}
            with started("bench.prompt_devices", "tocsin", str(found["port"]), str(devices)) as receiver:
                receiver.line()
                yield Service(found["url"], process.pid, device_channels.targets(found, devices), receiver)


def _post(service: Service, seconds: float) -> Sample:
    """Post for so long, again where the rate is not reached, with which nothing is comparable."""
    for _ in range(_TRIES):
        found = _posted(service, seconds)
        if found["answers/s"] > 0.97 * RATE or seconds < 1:
            return found
    raise Missing(f"the machine does not post {RATE:,} a second, but {found['answers/s']:,.0f}")


def _posted(service: Service, seconds: float) -> Sample:
    set_ups.begin(service.devices)
    meter, begin = Meter(service.process), perf_counter()
    answers = run_paced(open_loop(service.targets, RATE, seconds))
    rate = len(answers) / (perf_counter() - begin)
    arrived = set_ups.received(service.devices, len(answers))
    costs = meter.found(len(answers), arrived)
    waits = {**in_ms("answer", tail(answers), 1000), **in_ms("delivery", arrived)}
    return {"answers/s": rate, **waits, **costs, "missed": len(answers) - arrived["count"]}


def _loads(url: str) -> float:
    """Return how long the service takes to answer with its page, in ms."""
    return statistics.median(load(url)[1] for _ in range(_LOADS)) * 1000


def _loaded(service: Service, seconds: float) -> float:
    """Return the same while pushes come."""

    async def both() -> float:
        posts = asyncio.create_task(open_loop(service.targets, RATE, seconds))
        await asyncio.sleep(seconds / 10)
        took = []
        while not posts.done():
            took.append((await asyncio.to_thread(load, service.url))[1])
            await asyncio.sleep(seconds / _LOADS)
        await posts
        return statistics.median(took) * 1000

    set_ups.begin(service.devices)
    return run_paced(both())


@contextmanager
def _closed(_: str) -> Iterator[None]:
    yield None


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
    """Say of each way to look at the page what a push costs then, within each round."""
    closed, *others = rows
    found = [
        f"Beside the page: a push cost the closed one's service {closed.median(BEFORE) or 0:.3f} of what it had cost before, which is drift."
    ]
    for row in others:
        cost, p50, p99 = (ratio(row, closed, column) for column in (BEFORE, "answer p50 ms", "answer p99 ms"))
        found.append(
            f"{row.name[0].upper()}{row.name[1:]}: {cost:.3f} of the service's CPU a push (goal: {MOST:g} at most), {p50:.2f} of the p50 and"
            f" {p99:.2f} of the p99 of its answers."
        )
    return found
