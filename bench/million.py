"""What a million users ask of one service, by a planning model: how much of a core it takes, and for how long pushes wait."""

from __future__ import annotations

from functools import partial
from random import Random
from time import perf_counter

from attrs import evolve

from bench import set_ups
from bench.framework import Contestant, Options, Report, Row, Sample, in_ms, measure, tail
from bench.http_load import open_loop, run_paced
from bench.load import BODY
from bench.meter import Meter
from bench.processes import cpu_seconds, resident

MESSAGES, CONNECTS, REQUESTS = 145, 138, 12
"""Of all users together, a second: notifications, devices that come back, requests for a channel."""

DEVICES = 8_000
"""Devices that are connected at a time."""

SHARE, P99 = 0.12, 15.0
"""Goals: of a core, and milliseconds of a delivery."""

_KEPT = {"X-WNS-Cache-Policy": "cache"}  # what comes for a device that is away just now comes when it is back


def run(options: Options) -> Report:
    """Measure the service under that load; there is nothing beside it."""
    devices = options.sized(DEVICES, 20)
    report = Report(
        "million",
        f"{MESSAGES} {BODY}-byte POSTs, {CONNECTS} connects and {REQUESTS} channel requests a second, {devices:,} devices"
        " connected: a model of a million users",
    )
    measured = partial(_loaded, options, devices, 0.3 if options.quick else 30.0)
    measure(report, [Contestant(f"tocsin, {options.loops[0]}", measured)], options.rounds)
    report.remarks += verdicts(report.rows[0])
    report.remarks.append("Whatever the service does, connects and channels too, is in its CPU a message.")
    return report


def _loaded(options: Options, devices: int, seconds: float) -> Sample:
    going = (str(CONNECTS), str(REQUESTS))
    with set_ups.tocsin_crowd(options, devices, going) as at:
        kept = [evolve(target, headers=target.headers | _KEPT) for target in at.targets]
        targets = Random(1).choices(kept, k=int(MESSAGES * seconds))  # noqa: S311  # the same load each time
        warm = run_paced(open_loop(targets, MESSAGES, seconds / 10))
        set_ups.received(at.receiver, len(warm))
        set_ups.begin(at.receiver)
        meter, before, begin = Meter(at.server), cpu_seconds(at.server), perf_counter()
        answers = run_paced(open_loop(targets, MESSAGES, seconds))
        share = (cpu_seconds(at.server) - before) / (perf_counter() - begin)
        held = resident(at.server)
        found = set_ups.received(at.receiver, len(answers))
        costs = meter.found(len(answers), found)
    return {
        "of a core": share,
        **in_ms("delivery", found),
        **in_ms("answer", tail(answers), 1000),
        "RSS MiB": held,
        "connects/s": found["connects"] / seconds,
        "connect p99 ms": found["connects p99"],
        "channel p99 ms": found["grants p99"],
        **costs,
        "missed": max(0.0, len(answers) - found["count"]),
    }


def verdicts(row: Row) -> list[str]:
    """Say of each goal what was found."""
    share, p99 = row.median("of a core") or 0.0, row.median("delivery p99 ms") or 0.0
    return [
        f"The service took {share:.2f} of a core (goal: {SHARE:g} at most).",
        f"99 in 100 were with their devices within {p99:.1f} ms of when they were due (goal: {P99:g} at most).",
    ]
