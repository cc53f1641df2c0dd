"""A push service among hostile strangers: ``python -m tests.e2e.hostile [--seconds S] [--number N] [--limit MiB] [NAME ...]``.

For each attack it prints whether the service stayed up, what its memory did, and how an honest sender fared meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
from attrs import asdict, define, field

from tests.cli.test_serve import ok, serving
from tests.e2e.attacks import ATTACKS
from tests.e2e.strangers import Target
from tests.processes import Sender
from tocsin.api.embedded import embedded

PAUSE = 0.02
"""Seconds between two pushes of the honest sender."""


LONG = 1.0
"""Seconds after which an answer that has not come is a failure."""


@define
class Honest:
    """A sender whose pushes are to arrive, whatever others do."""

    sender: Sender
    times: list[float] = field(factory=list)
    failures: list[str] = field(factory=list)

    async def push(self) -> None:
        """Push until cancelled."""
        while True:
            began = time.perf_counter()
            try:
                status, headers = await self.sender.push(b"honest")
                outcome = headers.get("x-wns-status") if status == 200 else str(status)
            except (OSError, aiohttp.ClientError) as failure:
                outcome = type(failure).__name__
            except asyncio.CancelledError:
                if time.perf_counter() - began > LONG:
                    self.failures.append("unanswered at the end")
                raise
            if outcome == "received":
                self.times.append(time.perf_counter() - began)
            else:
                self.failures.append(str(outcome))
            await asyncio.sleep(PAUSE)

    def report(self) -> str:
        """Say how it went."""
        total = len(self.times) + len(self.failures)
        cuts = statistics.quantiles(self.times, n=100) if len(self.times) > 1 else [0.0] * 99
        failed = f" ({', '.join(sorted(set(self.failures)))})" if self.failures else ""
        return (
            f"{len(self.times)}/{total}{failed}, p50 {cuts[49] * 1e3:.1f} ms, p99 {cuts[98] * 1e3:.1f} ms,"
            f" max {max(self.times, default=0) * 1e3:.0f} ms"
        )


def memory(process: int, what: str) -> float:
    """Return ``VmRSS`` or ``VmHWM`` of a process, in MiB."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    return 0.0


def forget_peak(process: int) -> None:
    """Let ``VmHWM`` count from now on."""
    Path(f"/proc/{process}/clear_refs").write_text("5", encoding="ascii")


@asynccontextmanager
async def world(folder: Path, seconds: float, number: int) -> AsyncIterator[tuple[int, Sender, Target]]:
    """Run a service with the default limits, and a device that takes what comes."""
    state = str(folder / "service")
    async with serving(folder / "service") as server, aiohttp.ClientSession() as http:
        app = await ok("app", "add", "honest", "--state", state)
        stale = Sender(http, server.first | await ok("app", "add", "stale", "--state", state))
        await stale.sign_in()
        await ok("app", "remove", "stale", "--state", state)
        async with embedded("honest", folder / "device", service=server.first["url"]) as manager:
            channel = (await manager.create_channel(app["remote_id"])).channel
            assert channel is not None
            sender = Sender(http, server.first | app | {"uri": channel.uri})
            await sender.sign_in()
            target = Target(server.first["port"], channel.uri, sender.token, stale.token, seconds, number)
            with channel.push_received(lambda args: setattr(args, "handled", True)):
                yield server.process.pid, sender, target


async def attack(name: str, process: int, sender: Sender, target: Target) -> dict[str, Any]:
    """Let one attack run beside the honest sender."""
    before = memory(process, "VmRSS")
    forget_peak(process)
    honest = Honest(sender)
    command = [sys.executable, "-m", "tests.e2e.attacks", name, json.dumps(asdict(target))]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(honest.push)
        done = await anyio.run_process(command, check=False)
        tasks.cancel_scope.cancel()
    peak = memory(process, "VmHWM")
    up = (await sender.push(b"after"))[1].get("x-wns-status") == "received"
    lines = (done.stdout or done.stderr).decode().splitlines() or ["?"]
    return {
        "attack": name,
        "outcome": lines[-1],
        "up": up,
        "honest": honest.report(),
        "rss": f"{before:.0f} MiB before, {peak:.0f} peak, {memory(process, 'VmRSS'):.0f} after",
        "grew": round(peak - before, 1),
    }


async def main(names: list[str], seconds: float, number: int, limit: float | None) -> int:
    """Run the attacks one after the other, each on a new service; return 1 if the service went down, or grew by more MiB than it may."""
    failed = False
    for name in names or ATTACKS:
        with tempfile.TemporaryDirectory() as folder:
            async with world(Path(folder), seconds, number) as (process, sender, target):
                result = await attack(name, process, sender, target)
        print(json.dumps(result, ensure_ascii=False), flush=True)  # noqa: T201 - for who started it
        failed |= not result["up"] or (limit is not None and result["grew"] > limit)
    return int(failed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="how long each attack lasts (default: %(default)s)")
    parser.add_argument("--number", type=int, default=10_000, help="connections at a time (default: %(default)s)")
    parser.add_argument("--limit", type=float, help="MiB by which the service may grow; beyond it the exit code is 1")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ATTACKS)} (default: all)")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(main(arguments.names, arguments.seconds, arguments.number, arguments.limit)))
