"""One load spread over few and over very many devices, beside nchan with as many subscribers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench import set_ups, wire
from bench.framework import Contestant, Options, Report, Row, Sample, measure, ratio
from bench.http_load import CONNECTIONS, Target, closed_loop
from bench.load import BODY
from bench.wrk import wrk_anew

COUNTS = (1, 10, 100, 1_000, 8_000)
"""Devices, each with a channel of its own."""

PEERS = (("nchan", set_ups.nchan_crowd, set_ups.NCHAN_NOTE),)

_WARM = 1_000  # posts before the clock starts, at least one to each device


def run(options: Options) -> Report:
    """Measure all counts by turns, each with processes of its own."""
    report = Report(
        "spread",
        f"{BODY}-byte POSTs of wrk with {CONNECTIONS} connections to one device after the other, each of which acknowledges at once",
    )
    seconds = options.sized(5, 1)
    contestants = []
    for count in COUNTS if not options.quick else COUNTS[1:2]:
        ours = partial(set_ups.tocsin_crowd, options, count)
        contestants.append(Contestant(_name("tocsin", count), partial(_delivered, options, ours, seconds)))
        for peer, crowd, note in PEERS:
            run_it = partial(_delivered, options, partial(crowd, options, count), seconds)
            contestants.append(Contestant(_name(peer, count), run_it, "peer", note))
    measure(report, contestants, options.rounds)
    report.remarks += beside_peers({row.name: row for row in report.rows})
    report.remarks.append("The receiver is one process with all devices or subscribers, each a bare socket.")
    return report


def _name(who: str, devices: int) -> str:
    return f"{who}, {devices:,} {'device' if who == 'tocsin' else 'subscriber'}{'s' * (devices > 1)}"


def _delivered(options: Options, set_up: set_ups.SetUp, seconds: int) -> Sample:
    return wire.delivered(options, set_up, partial(_post, seconds), partial(_warm_up, options))


def _post(seconds: int, targets: Sequence[Target], folder: Path) -> dict[str, Any]:
    return wrk_anew(targets, seconds, folder)


def _warm_up(options: Options, running: set_ups.Running) -> None:
    """Post to each device, so that the server has all channels in memory."""
    posts = max(len(running.targets), options.sized(_WARM, 1))
    asyncio.run(closed_loop(running.targets, posts))
    set_ups.received(running.receiver, posts)


def beside_peers(rows: dict[str, Row]) -> list[str]:
    """Say of each count what Tocsin has of the peer's rate and p99, within each round."""
    found = []
    for count in COUNTS:
        ours, theirs = rows.get(_name("tocsin", count)), rows.get(_name("nchan", count))
        if ours is not None and theirs is not None:
            rate = ratio(ours, theirs, "payloads/s")
            answer, delivery = (ratio(ours, theirs, f"{each} p99 ms") for each in ("answer", "delivery"))
            found.append(
                f"{count:,}: {rate:.2f} of nchan's payloads a second, {answer:.2f} of the p99 of its answers and"
                f" {delivery:.2f} of that of its deliveries; {ours.median('server CPU µs') or 0:.0f} µs of the service a push."
            )
    return found
