"""What the agent costs an app that is connected, how soon an app that is not running is woken, and whether apps disturb each other."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from time import perf_counter, sleep

from bench import latency, set_ups, wire
from bench.framework import Contestant, Options, Report, Row, Sample, measure, percentile
from bench.http_load import Poster, Target, open_loop, stamped, turns
from bench.load import APP
from bench.processes import ROOT, Process, started

APPS = 64
PAYLOADS = 10_000
RATE = 400
"""Payloads a second over all apps: what two cores keep with a process for each app."""

LAUNCHES = 7
"""Launches of a round."""

_PATIENCE = 10.0  # seconds for a launched process to report
_LOOK = 0.005  # seconds between two looks for its report
_PAUSE = 0.3  # seconds in which it ends

EMBEDDED, CONNECTED = "floor: embedded", "through the agent"
CROWD = f"{APPS} apps, one of which never returns"
LAUNCHED = "launched by a push"


def run(options: Options) -> Report:
    """Measure all of it beside an app that has its platform embedded, and beside bare Python processes."""
    report = Report("agent", "the same load to an embedded app, and to apps and launched processes through an agent")
    loop = options.loops[0]
    both = ((EMBEDDED, set_ups.tocsin), (CONNECTED, set_ups.connected))
    contestants = [
        Contestant(
            name, partial(_cost, options, partial(set_up, options, loop)), "floor" if name == EMBEDDED else "product"
        )
        for name, set_up in both
    ]
    contestants.append(Contestant(CROWD, partial(_crowd, options, loop)))
    contestants.append(Contestant(LAUNCHED, partial(_launched, options, loop)))
    measure(report, contestants, options.rounds)
    report.remarks += _verdicts({row.name: row for row in report.rows})
    return report


def _cost(options: Options, set_up: set_ups.SetUp) -> Sample:
    """Throughput under wrk, and latency at a rate that all can keep."""
    under_load = wire.delivered(options, set_up, partial(wire.plain, options.sized(5, 1)))
    paced = latency.waits(set_up, 0.2 if options.quick else 5.0)
    columns = ("delivery p50 ms", "delivery p99 ms")
    missed = under_load["missed"] + paced["missed"]
    return {"payloads/s": under_load["payloads/s"], **{name: paced[name] for name in columns}, "missed": missed}


def _crowd(options: Options, loop: str) -> Sample:
    """Many apps with a process each: what all but one wait for, before and after the handler of that one never returns."""
    count, payloads = options.sized(APPS, 3), options.sized(PAYLOADS, 60)
    with ExitStack() as stack:
        at = stack.enter_context(set_ups.agent(options, loop))
        running = [stack.enter_context(at.app(f"{APP}.{number}")) for number in range(count)]
        headers = at.target(running[0][0]).headers
        targets = [Target(uri, headers) for uri, _ in running]
        (_, stuck), *rest = running
        others = [app for _, app in rest]
        _ages(others, targets, payloads // 5)  # none of them is counted with the others
        alone = _ages(others, targets, payloads)
        stuck.tell("hang")
        stuck.line()
        beside = _ages(others, targets, payloads)
    return {
        "others p99 ms": percentile(beside, 99),
        "all well p99 ms": percentile(alone, 99),
        "missed": float(2 * sum(turns(payloads, count)[1:]) - len(alone) - len(beside)),
    }


def _ages(others: Sequence[Process], targets: Sequence[Target], payloads: int) -> list[float]:
    """Post so many by turns, and return how old each payload was that one of the others has received."""
    for app in others:
        set_ups.begin(app)
    posts = len(asyncio.run(open_loop(targets, RATE, payloads / RATE)))
    ages: list[float] = []
    for app, count in zip(others, turns(posts, len(targets))[1:], strict=True):
        set_ups.received(app, count)
        app.tell("ages")
        ages += app.line()["ages"]
    return ages


def _launched(options: Options, loop: str) -> Sample:
    """From a POST to the first line of what it launches, and to its payload, beside bare processes of the same moments."""
    samples: list[Sample] = []
    with set_ups.agent(options, loop) as at, options.state() as folder:
        report = folder / "report"
        url = f"{at.found['remote_id']}#{report}"
        with started("bench.receiving", "registered", url, str(at.socket), loop) as app:
            target = at.target(app.line()["uri"])
        for _ in range(options.sized(LAUNCHES, 1) + 1):
            samples.append(_launch(target, report))
            sleep(_PAUSE)
    rest = samples[1:]  # the first has warmed the files
    return {name: statistics.median(sample[name] for sample in rest) for name in rest[0]}


def _launch(target: Target, report: Path) -> Sample:
    bare, with_asyncio = _process("pass"), _process("import asyncio")
    posted = perf_counter()
    asyncio.run(_post(target))
    while not report.exists():
        if perf_counter() > posted + _PATIENCE:
            raise RuntimeError(f"no process reported within {_PATIENCE:g} s of the push")
        sleep(_LOOK)
    found = json.loads(report.read_text(encoding="utf-8"))
    report.unlink()
    return {
        "first line ms": (found["first"] - posted) * 1000,
        "claimed ms": (found["claimed"] - posted) * 1000,
        "pass ms": bare,
        "import asyncio ms": with_asyncio,
    }


async def _post(target: Target) -> None:
    poster = await Poster.connect(target)
    status = await poster.post(target.request(stamped(perf_counter())))
    assert status == 200, status
    await poster.aclose()


def _process(code: str) -> float:
    """Return the milliseconds that a process with this code takes, from its start to its end."""
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)  # noqa: S603  # our own interpreter
    return (perf_counter() - start) * 1000


def _verdicts(rows: dict[str, Row]) -> list[str]:
    """Say of each goal what was found: the median over the rounds of what was found within each."""
    embedded, connected = rows[EMBEDDED].samples, rows[CONNECTED].samples
    crowds, woken = rows[CROWD].samples, rows[LAUNCHED].samples
    rate = _median(b["payloads/s"] / a["payloads/s"] for a, b in zip(embedded, connected, strict=True))
    p50 = _median(b["delivery p50 ms"] / a["delivery p50 ms"] for a, b in zip(embedded, connected, strict=True))
    p99 = _median(each["others p99 ms"] / each["all well p99 ms"] for each in crowds)
    first = _median(each["first line ms"] - 1.3 * each["pass ms"] for each in woken)
    claimed = _median(each["claimed ms"] - each["import asyncio ms"] for each in woken)
    return [
        f"Throughput through the agent: {rate:.2f} of embedded (goal: 0.6 at least).",
        f"POST to handler through the agent, p50: {p50:.2f} of embedded (goal: 1.5 at most).",
        f"p99 of the others while one app's handler never returns: {p99:.2f} of what it is without (goal: 1.5 at most).",
        f"POST to the first line of a launched process: {first:.0f} ms over 1.3 x python -c pass (goal: 50 at most).",
        f"POST to the claimed payload: {claimed:.0f} ms over python -c 'import asyncio' (goal: 150 at most).",
    ]


def _median(figures: Iterable[float]) -> float:
    return statistics.median(figures)
