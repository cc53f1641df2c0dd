"""A send of a hub to many of its registrations, beside as many single posts to the same devices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Event, Thread
from time import perf_counter

from attrs import Factory, define

from bench import device_channels, hub_state, set_ups
from bench.framework import Contestant, Options, Report, Row, Sample, measure, open_files, percentile
from bench.http_load import Target, closed_loop, open_loop, stamped
from bench.hub_client import HubClient
from bench.load import BODY
from bench.processes import Process, cpu_seconds, resident, started

SINGLE, TAGGED, RARE, DIRECT = "single posts", "one send to a tag", "sends to news && a tenth && a team", "direct sends"

DIRECT_RATE = 1_000
"""Direct sends a second."""

FIRST_WITHIN = 100.0
"""Milliseconds in which the first is to be delivered."""

_SPARE = 500  # descriptors besides those of devices
_LOOK = 0.005  # seconds between two looks at the memory


def run(options: Options) -> Report:
    """Measure all of them by turns, at one service."""
    registrations = options.sized(100_000, 200)
    devices = registrations // hub_state.EVERY
    report = Report(
        "hub",
        f"{BODY}-byte raw notifications of a hub with {registrations:,} registrations of 5 tags each,"
        f" to {devices:,} connected devices of which each acknowledges",
    )
    with _stage(options, registrations, devices) as stage:
        contestants = [
            Contestant(f"floor: {devices:,} {SINGLE}", stage.single, "floor"),
            Contestant(f"{TAGGED}, {devices:,} targets", stage.tagged),
            Contestant(RARE, partial(stage.rare, options.sized(100, 2))),
            Contestant(f"{DIRECT_RATE:,} {DIRECT} a second", partial(stage.direct, 0.1 if options.quick else 5.0)),
        ]
        measure(report, contestants, options.rounds)
        report.remarks.append(f"The service held {stage.idle:.0f} MiB before the first turn, with all connected.")
    report.remarks += verdicts(report.rows[1], report.ratio(report.rows[1]))
    report.remarks.append("The registrations were put into the store before the service started.")
    return report


@define
class _Stage:
    """A service with a hub, in a process of its own, and the devices in another."""

    service: Process
    devices: Process
    client: HubClient
    targets: Sequence[Target]
    """Where the channel of each device is posted to."""
    idle: float = 0.0
    """What the service holds before the first turn, in MiB."""
    sent: list[str] = Factory(list)
    """Messages of which it is still to be waited for the end."""

    def single(self) -> Sample:
        """Post to each channel."""
        return self._turn(len(self.targets), lambda: asyncio.run(closed_loop(self.targets, len(self.targets))))

    def tagged(self) -> Sample:
        """Send to a tag that each device has."""
        return self._turn(len(self.targets), lambda: self._send_all([hub_state.REACHED]))

    def rare(self, count: int) -> Sample:
        """Send to the few of a team whose devices are there, by expressions of which each other tag has very many."""
        expressions = [
            f"{hub_state.EVERYONE} && {hub_state.REACHED} && {hub_state.team(number)}" for number in range(count)
        ]
        found = self._turn(hub_state.TEAM // hub_state.EVERY * count, lambda: self._send_all(expressions))
        return {"ms a send": 1000 * found["seconds"] / count} | found

    def direct(self, seconds: float) -> Sample:
        """Send to channels that are named themselves, at a rate."""
        targets = [self.client.direct(target.url) for target in self.targets[:1_000]]
        waits: list[float] = []

        def send() -> float:
            begin = perf_counter()
            waits.extend(asyncio.run(open_loop(targets, DIRECT_RATE, seconds)))
            return begin

        found = self._turn(int(DIRECT_RATE * seconds), send)
        return {f"answer p{each} ms": 1000 * percentile(waits, each) for each in (50, 99)} | found

    def _send_all(self, expressions: Sequence[str]) -> float:
        """Send to one expression after the other, and return when that began."""
        begin = perf_counter()
        self.sent += [self.client.send(stamped(perf_counter()), expression) for expression in expressions]
        return begin

    def _turn(self, expected: int, send: Callable[[], float]) -> Sample:
        """Send, and tell what that has cost until all has arrived.

        :param send: returns when it began.
        """
        set_ups.begin(self.devices)
        cpu = cpu_seconds(self.service.pid)
        with _peak(self.service.pid) as peak:
            begin = send()
            found = set_ups.received(self.devices, expected)
            while self.sent:  # what has become of each is written down behind the last
                self.client.wait_for_end(self.sent.pop())
        seconds = found["last"] - begin
        return {
            "targets/s": found["count"] / seconds,
            "first ms": 1000 * (found["first"] - begin),
            "CPU µs a target": 1e6 * (cpu_seconds(self.service.pid) - cpu) / expected,
            "MiB above idle": peak.most - self.idle,
            "missed": expected - found["count"],
            "seconds": seconds,
        }


@define
class _Peak:
    most: float


@contextmanager
def _peak(pid: int) -> Iterator[_Peak]:
    """Watch how much memory a process holds while the block runs."""
    peak, ended = _Peak(resident(pid)), Event()

    def watch() -> None:
        while not ended.wait(_LOOK):
            peak.most = max(peak.most, resident(pid))

    watching = Thread(target=watch)
    watching.start()
    try:
        yield peak
    finally:
        ended.set()
        watching.join()


@contextmanager
def _stage(options: Options, registrations: int, devices: int) -> Iterator[_Stage]:
    with ExitStack() as stack:
        stack.enter_context(open_files(devices + _SPARE))
        state = stack.enter_context(options.state())
        key = asyncio.run(hub_state.prefill(state, registrations))
        service = stack.enter_context(started("bench.serving", "tocsin", str(state), options.loops[0]))
        at = service.line()
        prompt = stack.enter_context(started("bench.prompt_devices", "tocsin", str(at["port"]), str(devices)))
        prompt.line()
        client = stack.enter_context(HubClient.connected(at["url"], key))
        stage = _Stage(service, prompt, client, device_channels.targets(at, devices))
        stage.single()  # the service has all channels in memory from now on
        stage.idle = resident(service.pid)
        yield stage


def verdicts(row: Row, ratio: float | None) -> list[str]:
    """Say of each goal what was found."""
    first, most = row.median("first ms") or 0.0, max(row.figures("MiB above idle"))
    return [
        f"The first was delivered after {first:.0f} ms (goal: {FIRST_WITHIN:.0f} at most).",
        f"Targets a second: {ratio or 0:.2f} of as many single posts (goal: 0.5 at least; aim: 1).",
        f"Memory: {most:.1f} MiB above idle at most.",
    ]
