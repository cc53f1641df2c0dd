"""What an agent costs that has nothing to do: its memory, and how often it wakes the machine."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from time import sleep
from uuid import UUID

import tocsin
from bench.framework import Contestant, Options, Report, Sample, measure
from bench.processes import ROOT, resident, started

APPS = 10
SECONDS = 60
"""How long wake-ups are counted, at least; what happens less often than that is in the longer runs of more rounds."""

_REST = 5  # seconds until the start is over
_WATCHDOG = 300.0  # seconds: what the agent's unit has
_GOALS = (40.0, 0.2)  # MiB, wake-ups a second


def run(options: Options) -> Report:
    """Measure an agent with a service beside it, as its unit runs it: with a watchdog, and ready to end when nothing is registered."""
    report = Report("idle", f"an agent of {APPS} registered apps of which none runs, and to which nothing is pushed")
    contestants = [
        Contestant("floor: asyncio, asleep", partial(_asleep, options), "floor"),
        Contestant("tocsin agent --service URL", partial(_agent, options)),
    ]
    measure(report, contestants, options.rounds)
    row = report.rows[-1]
    memory, wakes = row.median("RSS MiB"), row.median("wake-ups/s")
    report.remarks.append(f"Memory: {memory:.1f} MiB (goal: {_GOALS[0]:g} at most).")
    report.remarks.append(f"Wake-ups: {wakes:.2f} a second (goal: {_GOALS[1]:g} at most).")
    return report


def _asleep(options: Options) -> Sample:
    code = "import asyncio; print(0, flush=True); asyncio.run(asyncio.sleep(999))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:  # noqa: S603  # our own interpreter
        try:
            assert process.stdout is not None
            process.stdout.readline()
            return _watched(process.pid, options.sized(1, 1))
        finally:
            process.kill()


def _agent(options: Options) -> Sample:
    with options.state() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notes"))
        service = ("serve", "--json", "--port", "0", "--log-level", "warning", "--state", str(folder / "service"))
        with started("tocsin", *service) as serving:
            url = serving.line()["url"]
            place = ("--socket", str(folder / "agent.sock"), "--state", str(folder / "agent"))
            words = ("agent", "--json", "--service", url, "--idle-exit", "5", *place)
            notes = {"NOTIFY_SOCKET": str(folder / "notes"), "WATCHDOG_USEC": str(int(_WATCHDOG * 1e6))}
            with started("tocsin", *words, environment=os.environ | notes) as agent:
                agent.line()
                asyncio.run(_register(folder / "agent.sock", _remote_id(folder / "service")))
                sleep(options.sized(_REST, 0))
                return _watched(agent.pid, options.sized(SECONDS, 1))


def _remote_id(state: Path) -> UUID:
    """Let an app use the service."""
    command = [sys.executable, "-m", "tocsin", "app", "add", "contoso", "--json", "--state", str(state)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)  # noqa: S603  # ours
    return UUID(json.loads(done.stdout)["remote_id"])


async def _register(place: Path, remote_id: UUID) -> None:
    """Let apps come, ask for a channel each, register what a push starts, and leave."""
    info = tocsin.PushNotificationActivationInfo(tocsin.Activators.PROTOCOL_ACTIVATOR)
    for number in range(APPS):
        async with tocsin.connect(f"contoso.{number}", place, command=["true"]) as manager:
            await manager.register_activator(info)
            assert (await manager.create_channel(remote_id)).channel is not None


def _watched(process: int, seconds: int) -> Sample:
    """Count how often a process was put aside and went on, whether it waited or its time was up."""
    before = _switches(process)
    sleep(seconds)
    wakes = (_switches(process) - before) / seconds
    return {"RSS MiB": resident(process), "wake-ups/s": wakes}


def _switches(process: int) -> int:
    """Return the context switches of all threads of a process so far."""
    return sum(
        int(line.split()[1])
        for thread in Path(f"/proc/{process}/task").iterdir()
        for line in (thread / "status").read_text(encoding="ascii", errors="replace").splitlines()
        if "ctxt_switches" in line
    )
