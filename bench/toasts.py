"""How soon a toast is with the notification daemon, beside a raw push to a handler; and more toasts than any desktop shows."""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from threading import Thread

from attrs import define, evolve, field

from bench import set_ups
from bench.framework import Contestant, Options, Report, Row, Sample, measure, optional
from bench.http_load import Target, open_loop, turns
from bench.load import APP, BODY
from bench.processes import Process, end, started
from bench.servers import program

RATE = 16
"""Posts a second where latency is measured: every other one is a toast, which the daemon dismisses at once."""

FLOOD = 1_000
"""Toasts a second that no desktop can take."""

BESIDE = 200
"""Raw payloads a second beside them."""

FEW = 20
"""Both a second where the bench itself is tried."""

LATENCY, BESIDE_TOASTS = "from POST to Notify", f"beside {FLOOD:,} toasts a second"
_ENDS = ("shown", "suppressed", "dead")
_PATIENCE = 60.0  # seconds for each toast of a flood to have its end


def run(options: Options) -> Report:
    """Measure both beside raw payloads of the same run."""
    report = Report("toasts", "toasts through the agent to a notification daemon, beside raw payloads to a handler")
    optional("dbus_fast", "dbus-fast")
    loop = options.loops[0]
    contestants = [
        Contestant(LATENCY, partial(_latency, options, loop)),
        Contestant(BESIDE_TOASTS, partial(_flood, options, loop)),
    ]
    measure(report, contestants, options.rounds)
    report.remarks += _verdicts({row.name: row for row in report.rows})
    return report


def toast(moment: float) -> bytes:
    """Build a toast whose title carries a moment of ``perf_counter``."""
    texts = f"<text>{moment:.9f} is when it was due</text><text>Andrew sent you a picture</text>"
    xml = f'<toast><visual><binding template="ToastGeneric">{texts}</binding></visual></toast>'
    return xml.encode().ljust(BODY)


@define
class _Desk:
    """An agent on a bus with a daemon, an app that takes raw payloads, and one that does not run and gets toasts."""

    state: Path
    daemon: Process
    app: Process
    raw: Target
    toasts: Target
    others: Target
    """Of a second running app."""
    other: Process


@contextmanager
def _desk(options: Options, loop: str, way: str) -> Iterator[_Desk]:
    with ExitStack() as stack:
        address = stack.enter_context(bus())
        daemon = stack.enter_context(started("bench.fake_daemon", address, way))
        daemon.line()
        environment = os.environ | {"DBUS_SESSION_BUS_ADDRESS": address}
        at = stack.enter_context(set_ups.agent(options, loop, environment))
        url = f"{at.found['remote_id']}#{at.state / 'report'}"
        away = stack.enter_context(started("bench.receiving", "registered", url, str(at.socket), loop))
        uri = away.line()["uri"]
        (own, app), (others, other) = (stack.enter_context(at.app(f"{APP}.{number}")) for number in range(2))
        toasts = at.target(uri)
        headers = toasts.headers | {"X-WNS-Type": "wns/toast", "Content-Type": "text/xml"}
        toasts = evolve(toasts, headers=headers, body=toast)
        desk = _Desk(at.state, daemon, app, at.target(own), toasts, at.target(others), other)
        asyncio.run(open_loop([desk.toasts], 1, 1))  # it waits until apps have had time to come back to the agent
        set_ups.received(daemon, 1)
        yield desk


@contextmanager
def bus() -> Iterator[str]:
    """Run a session bus, and give its address."""
    command = [program("dbus-daemon", "dbus-daemon"), "--session", "--address=unix:tmpdir=/tmp", "--nofork"]
    with subprocess.Popen([*command, "--print-address=1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as bus:  # noqa: S603  # as found by program()
        try:
            assert bus.stdout is not None
            yield bus.stdout.readline().decode().strip()
        finally:
            end(bus)


def _latency(options: Options, loop: str) -> Sample:
    """Raw payloads and toasts by turns, at a rate that leaves time between them."""
    seconds = options.sized(20, 1)
    with _desk(options, loop, "dismisses") as desk:
        _by_turns(desk, seconds / 5)
        for receiver in (desk.app, desk.daemon):
            set_ups.begin(receiver)
        posts, raw, toasts = _by_turns(desk, seconds)
    return {
        "toast p50 ms": toasts["p50"],
        "raw p50 ms": raw["p50"],
        "toast p99 ms": toasts["p99"],
        "raw p99 ms": raw["p99"],
        "missed": posts - raw["count"] - toasts["count"],
    }


def _by_turns(desk: _Desk, seconds: float) -> tuple[int, dict[str, float], dict[str, float]]:
    """Return how many were posted, and what the app and the daemon have received once all have come."""
    posts = len(asyncio.run(open_loop([desk.raw, desk.toasts], RATE, seconds)))
    raw, toasts = map(set_ups.received, (desk.app, desk.daemon), turns(posts, 2))
    return posts, raw, toasts


def _flood(options: Options, loop: str) -> Sample:
    """Raw payloads alone, beside as many other raw payloads as there will be toasts, and beside toasts."""
    seconds = options.sized(10, 1)
    beside = options.sized(BESIDE, FEW)
    flood = options.sized(FLOOD, beside)
    with _desk(options, loop, "keeps") as desk, _tail(desk.state) as ends:
        alone = _raw(desk, (), 0, beside, seconds)
        beside_raw = _raw(desk, [desk.others], flood, beside, seconds)
        beside_toasts = _raw(desk, [desk.toasts], flood, beside, seconds)
        ends.wait(flood * seconds)
    found = {end_: float(ends.counts[end_]) for end_ in _ENDS}
    return {
        "raw p50 ms": beside_toasts["p50"],
        "beside raw p50 ms": beside_raw["p50"],
        "alone p50 ms": alone["p50"],
        "raw p99 ms": beside_toasts["p99"],
        "beside raw p99 ms": beside_raw["p99"],
        **found,
        "lost": flood * seconds - sum(found.values()),
    }


def _raw(desk: _Desk, beside: Sequence[Target], flood: int, rate: int, seconds: int) -> dict[str, float]:
    """Return how old the raw payloads were, with so many other posts a second beside them."""
    count = rate * seconds
    set_ups.begin(desk.app)
    targets = [desk.raw, *islice(cycle(beside), flood // rate if beside else 0)]
    asyncio.run(open_loop(targets, rate * len(targets), seconds))
    found = set_ups.received(desk.app, count)
    assert found["count"] == count, found
    return found


@define
class _Ends:
    """What ``tocsin tail`` tells of the ends of toasts."""

    _process: Process
    counts: Counter[str] = field(factory=Counter)
    reasons: Counter[str] = field(factory=Counter)
    _ids: set[str] = field(factory=set)
    _unseen: int = 0

    def read(self, count: int) -> None:
        """Read lines until so many toasts have their end."""
        while len(self._ids) + self._unseen < count:
            event = self._process.line()
            if "lost" in event:
                self._unseen += event["lost"]
            elif event["id"] not in self._ids:
                self._ids.add(event["id"])
                self.counts[event["stage"]] += 1
                self.reasons[f"{event['stage']}: {event.get('reason', '')}"] += 1

    def wait(self, count: int) -> None:
        """Wait for so many, but not for ever."""
        reading = Thread(target=self.read, args=(count,), daemon=True)
        reading.start()
        reading.join(_PATIENCE)


@contextmanager
def _tail(state: Path) -> Iterator[_Ends]:
    stages = [word for stage in _ENDS for word in ("--stage", stage)]
    with started("tocsin", "tail", "--json", "--type", "toast", *stages, "--state", str(state)) as process:
        yield _Ends(process)


def _verdicts(rows: dict[str, Row]) -> list[str]:
    """Say of each goal what was found: the median over the rounds of what was found within each."""
    soon, flooded = rows[LATENCY].samples, rows[BESIDE_TOASTS].samples
    later = _median(each["toast p50 ms"] - each["raw p50 ms"] for each in soon)
    slower = _median(each["raw p50 ms"] / each["beside raw p50 ms"] - 1 for each in flooded)
    lost = sum(each["lost"] for each in flooded)
    return [
        f"POST to Notify on the bus, p50: {later:.2f} ms above a raw push to a handler (goal: 5 at most).",
        f"Raw payloads beside {FLOOD:,} toasts a second, p50: {slower:+.0%} over beside as many raw payloads (goal: 10 % at most).",
        f"Of {FLOOD:,} toasts a second, {lost:.0f} had no end (goal: none).",
    ]


def _median(figures: Iterable[float]) -> float:
    return statistics.median(figures)
