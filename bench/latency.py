"""How long a payload takes from the POST to the handler, at a rate that all can keep."""

from __future__ import annotations

import asyncio
from functools import partial

from bench import set_ups
from bench.framework import Contestant, Options, Report, Sample, measure, percentile
from bench.http_load import open_loop
from bench.load import BODY

RATE = 500
"""Payloads a second."""


def run(options: Options) -> Report:
    """Measure from when a POST was due to the handler, and to its answer."""
    report = Report("latency", f"{RATE} {BODY}-byte POSTs a second, from when each was due to the handler")
    seconds = 0.2 if options.quick else 5.0
    contestants = [Contestant(name, partial(waits, set_up, seconds)) for name, set_up in set_ups.each(options)]
    nchan = partial(waits, partial(set_ups.nchan, options), seconds)
    contestants.append(Contestant("nginx with nchan", nchan, "peer", set_ups.NCHAN_NOTE))
    return measure(report, contestants, options.rounds)


def waits(set_up: set_ups.SetUp, seconds: float) -> Sample:
    """Measure one set-up."""
    with set_up() as (target, receiver):
        warm = asyncio.run(open_loop([target], RATE, seconds / 5))
        set_ups.received(receiver, len(warm))  # none of them is counted with the others
        set_ups.begin(receiver)
        answers = asyncio.run(open_loop([target], RATE, seconds))
        found = set_ups.received(receiver, len(answers))
    return {
        "handler p50 ms": found["p50"],
        "handler p99 ms": found["p99"],
        "answer p50 ms": percentile(answers, 50) * 1000,
        "answer p99 ms": percentile(answers, 99) * 1000,
        "missed": len(answers) - found["count"],
    }
