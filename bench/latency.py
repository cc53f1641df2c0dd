"""How long a payload takes from the POST to the handler, at a rate that all can keep."""

from __future__ import annotations

from functools import partial

from bench import set_ups
from bench.framework import Contestant, Options, Report, Sample, in_ms, measure, tail
from bench.http_load import open_loop, run_paced
from bench.load import BODY
from bench.meter import Meter

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
    with set_up() as running:
        targets, receiver = running.targets, running.receiver
        warm = run_paced(open_loop(targets, RATE, seconds / 5))
        set_ups.received(receiver, len(warm))  # none of them is counted with the others
        set_ups.begin(receiver)
        meter = Meter(running.server)
        answers = run_paced(open_loop(targets, RATE, seconds))
        found = set_ups.received(receiver, len(answers))
        costs = meter.found(len(answers), found)
    return {
        **in_ms("delivery", found),
        **in_ms("answer", tail(answers), 1000),
        **costs,
        "missed": len(answers) - found["count"],
    }
