"""How soon a call rings: with the app not running, up to its toast, and in the app that runs, beside a plain push to the same app."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from attrs import frozen

from bench import set_ups
from bench.framework import Contestant, Options, Report, Row, Sample, measure, optional, percentile
from bench.http_load import Poster, Target, stamped
from bench.processes import ROOT, Process, started
from bench.toasts import bus

CALLS = 100
"""Calls of a round to the app that runs, and as many plain pushes between them."""

LAUNCHES = 7
"""Calls of a round to the app that does not run."""

STAGES = ("first line", "imported", "connected", "signed in")
"""What the app that is launched says the moments of: the last one is when its agent is connected to the calling service."""

GOAL = 15.0
"""Milliseconds by which a call may ring later than a plain push comes."""

BARE, LAUNCHED = "python -c pass", "not running: StartCall to Notify"
PUSHED, TOLD = "running: StartCall to IncomingCall, by a push", "running: StartCall to IncomingCall, connected"

_PAUSE = 0.05  # seconds in which what a call still has to tell is told
_LOOK = 0.005  # seconds between two looks for its report
_PATIENCE = 20.0  # seconds for a started process to end


def run(options: Options) -> Report:
    """Measure all of it in turn."""
    report = Report("calling", "calls through a calling service, a push service and an agent, beside plain pushes")
    optional("dbus_fast", "dbus-fast")
    contestants = [
        Contestant(BARE, partial(_bare, options), "floor"),
        Contestant(LAUNCHED, partial(_launched, options)),
        Contestant(PUSHED, partial(_running, options, quiet=True)),
    ]
    if not options.quick:  # it is the same programs once more
        contestants.append(Contestant(TOLD, partial(_running, options, quiet=False)))
    measure(report, contestants, options.rounds)
    report.remarks += _verdicts({row.name: row for row in report.rows})
    return report


# What runs


@frozen
class _World:
    """An agent, a calling service that rings by its push service, and a caller."""

    at: set_ups.AgentAt
    calls: dict[str, Any]
    """The calling service's url, the callee, the tokens."""
    caller: Process

    def where(self, name: str, **more: object) -> str:
        """Return where all is, for the app that is called."""
        places = {
            "state": str(self.at.state / name),
            "socket": str(self.at.socket),
            "remote_id": self.at.found["remote_id"],
        }
        return json.dumps(places | {"url": self.calls["url"], "token": self.calls["tokens"]["called"]} | more)

    def ring(self) -> float:
        """Call; return the moment before."""
        self.caller.tell("ring")
        began: float = self.caller.line()["began"]
        return began

    def hang_up(self) -> None:
        """End the call."""
        self.caller.tell("hang up")
        found = self.caller.line()
        assert found == {"code": 487, "subcode": 0}, found


@contextmanager
def _world(options: Options, environment: Mapping[str, str] | None = None) -> Iterator[_World]:
    with ExitStack() as stack:
        state = stack.enter_context(options.state())
        (state / "serve").mkdir()
        service, caller = (  # these load what they need while the others start
            stack.enter_context(started("bench.calling_programs", kind, str(state / kind)))
            for kind in ("serve", "caller")
        )
        at = stack.enter_context(set_ups.agent(options, options.loops[0], environment))
        service.tell({name: at.found[name] for name in ("client_id", "client_secret", "token_url")})
        calls = service.line()
        caller.tell({"token": calls["tokens"]["caller"], "url": calls["url"], "callee": calls["callee"]})
        caller.line()
        yield _World(at, calls, caller)


# What is measured


def _bare(options: Options) -> Sample:
    """Processes that do nothing, from their start to their end."""
    times = []
    for _ in range(options.sized(LAUNCHES, 1)):
        began = perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], cwd=ROOT, check=True)
        times.append((perf_counter() - began) * 1000)
    return _both("", times)


def _running(options: Options, *, quiet: bool) -> Sample:
    """Calls and plain pushes by turns, to an app that runs."""
    calls, pushes = list[float](), list[float]()
    with ExitStack() as stack:
        world = stack.enter_context(_world(options))
        where = world.where("called", quiet=quiet)
        called = stack.enter_context(started("bench.calling_programs", "called", where))
        with asyncio.Runner() as runner:
            target = world.at.target(called.line()["uri"])
            poster = runner.run(Poster.connect(target))
            for turn in range(options.sized(CALLS, 2) + 1):
                _, call = _until(called, world.ring)
                world.hang_up()
                sleep(_PAUSE)
                _, push = _until(called, partial(_post, runner, poster, target))
                if turn:  # the first of both open connections
                    calls.append(call)
                    pushes.append(push)
            runner.run(poster.aclose())
    found = _both("", calls) | _both("plain push ", pushes)
    found["above it p50 ms"] = found["p50 ms"] - found["plain push p50 ms"]
    return found


def _until(called: Process, begin: Callable[[], float]) -> tuple[float, float]:
    """Return the moment at which something began, and the milliseconds from there to what came of it."""
    set_ups.begin(called)
    began = begin()
    found = set_ups.received(called, 1)
    assert found["count"] == 1, found
    return began, (found["first"] - began) * 1000


def _post(runner: asyncio.Runner, poster: Poster, target: Target) -> float:
    began = perf_counter()
    status = runner.run(poster.post(target.request(stamped(began))))
    assert status == 200, status
    return began


def _both(what: str, times: Sequence[float]) -> Sample:
    return {f"{what}p50 ms": percentile(times, 50), f"{what}p99 ms": percentile(times, 99)}


def _launched(options: Options) -> Sample:
    """From the moment before ``StartCall`` to the toast, which an app shows that this has launched."""
    times = list[float]()
    stages: dict[str, list[float]] = {name: [] for name in STAGES}
    with bus() as address, started("bench.fake_daemon", address, "keeps") as daemon:
        daemon.line()
        with _world(options, os.environ | {"DBUS_SESSION_BUS_ADDRESS": address}) as world:
            report = world.at.state / "called.json"
            script, where = str(ROOT / "bench" / "called.py"), world.where("called", report=str(report))
            subprocess.run([sys.executable, script, where, "register"], cwd=ROOT, check=True)  # noqa: S603  # our own
            for turn in range(options.sized(LAUNCHES, 1) + 1):
                began, notified = _until(daemon, world.ring)
                world.hang_up()
                found = _left(report)
                if turn:  # the first has warmed the files
                    times.append(notified)
                    for stage, moments in stages.items():
                        moments.append((found[stage] - began) * 1000)
    return _both("", times) | {f"{stage} ms": statistics.median(moments) for stage, moments in stages.items()}


def _left(report: Path) -> dict[str, Any]:
    """Wait until the app that was launched has told what it did, and has ended."""
    until = perf_counter() + _PATIENCE
    found: dict[str, Any] = {}
    while not found or Path(f"/proc/{found['pid']}").exists():
        if perf_counter() > until:
            raise RuntimeError(f"what a call has launched did not end within {_PATIENCE:g} s")
        sleep(_LOOK)
        if not found and report.exists():
            found = json.loads(report.read_text(encoding="utf-8"))
    report.unlink()
    return found


def _verdicts(rows: dict[str, Row]) -> list[str]:
    """Say what was found: the median over the rounds of what was found within each."""
    bare, launched = rows[BARE].samples, rows[LAUNCHED].samples
    of_bare = _median(b["p50 ms"] / a["p50 ms"] for a, b in zip(bare, launched, strict=True))
    above = _median(b["p50 ms"] - a["p50 ms"] for a, b in zip(bare, launched, strict=True))
    stages = ", ".join(f"{stage} {_median(each[f'{stage} ms'] for each in launched):.0f}" for stage in STAGES)
    told = [
        f"StartCall to Notify with the app not running, p50: {of_bare:.1f} x python -c pass, {above:.0f} ms above it.",
        f"Of that, ms from StartCall on: {stages}.",
    ]
    for name, words in ((PUSHED, "by a push"), (TOLD, "connected")):
        if name not in rows:
            continue
        later = _median(each["above it p50 ms"] for each in rows[name].samples)
        told.append(
            f"StartCall to IncomingCall with the app running, {words}, p50: {later:+.2f} ms beside a plain push"
            f" (goal: {GOAL:g} at most)."
        )
    return told


def _median(figures: Iterable[float]) -> float:
    return statistics.median(figures)
