"""What a header costs that differs in each request, such as a tracing agent adds to those of any sender."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench import set_ups, wire
from bench.framework import Contestant, Options, Report, Row, Sample, measure, ratio
from bench.http_load import CONNECTIONS, Target
from bench.load import BODY
from bench.wrk import Trace, wrk_anew

COST = "server CPU µs"


def run(options: Options) -> Report:
    """Measure the load of ``wire`` with such a header, and beside it the same load that makes the header and does not send it."""
    report = Report(
        "headers",
        f"{BODY}-byte POSTs of wrk with {CONNECTIONS} connections, with and without another traceparent in each",
    )
    (_, tocsin), *_ = set_ups.each(options)
    contestants = [
        Contestant("floor: without it", partial(_delivered, options, tocsin, Trace.MADE), "floor"),
        Contestant("another traceparent in each", partial(_delivered, options, tocsin, Trace.SENT)),
    ]
    measure(report, contestants, options.rounds)
    report.remarks += verdicts(*report.rows)
    return report


def _delivered(options: Options, set_up: set_ups.SetUp, trace: Trace) -> Sample:
    found = wire.delivered(options, set_up, partial(_post, options.sized(5, 1), trace))
    return {COST: found[COST]} | found


def _post(seconds: int, trace: Trace, targets: Sequence[Target], folder: Path) -> dict[str, Any]:
    return wrk_anew(targets, seconds, folder, trace=trace)


def verdicts(without: Row, given: Row) -> list[str]:
    """Say what the header costs, within each round."""
    cost, rate = ratio(given, without, COST), ratio(given, without, "payloads/s")
    return [f"With the header: {cost:.2f} of the service's CPU a message (goal: 1.15 at most), {rate:.2f} of the rate."]
