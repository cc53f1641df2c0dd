"""What a million users ask of one service, by a planning model: how much of a core it takes and how long pushes wait, beside nchan."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from time import perf_counter

from attrs import evolve

from bench import set_ups
from bench.framework import Contestant, Options, Report, Row, Sample, in_ms, measure, ratio, tail
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

PEERS = (
    (
        "nchan",
        partial(set_ups.nchan_crowd, connects=CONNECTS),
        f"no channel requests; a message for a subscriber that is away just now is missed; {set_ups.NCHAN_NOTE}",
    ),
)

_KEPT = {"X-WNS-Cache-Policy": "cache"}  # what comes for a device that is away just now comes when it is back


def run(options: Options) -> Report:
    """Measure the service under that load, and each peer under as much of it as it knows."""
    devices = options.sized(DEVICES, 20)
    report = Report(
        "million",
        f"{MESSAGES} {BODY}-byte POSTs, {CONNECTS} connects and {REQUESTS} channel requests a second, {devices:,} devices"
        " connected: a model of a million users",
    )
    seconds = 0.3 if options.quick else 30.0
    ours = partial(set_ups.tocsin_crowd, options, devices, (CONNECTS, REQUESTS))
    contestants = [Contestant(f"tocsin, {options.loops[0]}", partial(_loaded, ours, seconds, _KEPT))]
    for name, crowd, note in PEERS:
        measured = partial(_loaded, partial(crowd, options, devices), seconds, {})
        contestants.append(Contestant(name, measured, "peer", note))
    measure(report, contestants, options.rounds)
    report.remarks += verdicts(report.rows)
    report.remarks.append("Whatever the service does, connects and channels too, is in its CPU a message.")
    return report


def _loaded(set_up: set_ups.SetUp, seconds: float, headers: dict[str, str]) -> Sample:
    with set_up() as at:
        each = [evolve(target, headers=target.headers | headers) for target in at.targets]
        targets = Random(1).choices(each, k=int(MESSAGES * seconds))  # noqa: S311  # the same load each time
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
        **({"RSS MiB": held, "channel p99 ms": found["grants p99"]} if at.service else {}),  # nginx's is in a child
        "connects/s": found["connects"] / seconds,
        "connect p99 ms": found["connects p99"],
        **costs,
        "missed": max(0.0, len(answers) - found["count"]),
    }


def verdicts(rows: Sequence[Row]) -> list[str]:
    """Say of each goal what was found, and beside each peer, within each round."""
    found = []
    for ours in (row for row in rows if row.role == "product"):
        share, p99 = ours.median("of a core") or 0.0, ours.median("delivery p99 ms") or 0.0
        found += [
            f"The service took {share:.2f} of a core (goal: {SHARE:g} at most).",
            f"99 in 100 were with their devices within {p99:.1f} ms of when they were due (goal: {P99:g} at most).",
        ]
        for peer in (row for row in rows if row.role == "peer"):
            of_core, waits = (ratio(ours, peer, column) for column in ("of a core", "delivery p99 ms"))
            found.append(
                f"Beside {peer.name}: {of_core:.2f} of its share of a core, {waits:.2f} of the p99 of its deliveries."
            )
    return found
