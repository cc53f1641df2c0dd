"""An agent among hostile processes: ``python -m tests.e2e.agent_attacks [--seconds S] [--share X] [--limit MiB] [NAME ...]``.

For each attack it prints what became of it, how much memory the agent had before, at most and after, how many lines it
logged, and how an honest app fared meanwhile.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
from attrs import Factory, asdict, define, frozen

from tests.e2e.agent_attackers import ATTACKS, Target
from tests.e2e.agents import Agent, running_agent
from tests.e2e.hostile import forget_peak, memory
from tests.processes import PATIENCE, Sender, sender
from tocsin import PushNotificationReceivedEventArgs as Args
from tocsin import connect

PAUSE = 0.02
"""Seconds between two pushes to the honest app."""

LATE = 2.0
"""Seconds after which an honest payload that has not come is a failure."""


@define
class HonestApp:
    """An app whose payloads are to arrive, whatever others do."""

    app: str
    channel: str
    server: Sender
    arrived: dict[bytes, anyio.Event] = Factory(dict)
    times: list[float] = Factory(list)
    failures: list[str] = Factory(list)

    def handle(self, args: Args) -> None:
        """Note a payload."""
        args.handled = True
        if args.payload in self.arrived:
            self.arrived[args.payload].set()

    async def push(self) -> None:
        """Push one payload, and wait until it has arrived."""
        body = b"%d" % (len(self.times) + len(self.failures))
        arrived = self.arrived[body] = anyio.Event()
        began = time.perf_counter()
        try:
            with anyio.fail_after(LATE):
                status, headers = await self.server.push(body)
                assert (status, headers["x-wns-status"]) == (200, "received"), headers
                await arrived.wait()
            self.times.append(time.perf_counter() - began)
        except TimeoutError:
            self.failures.append("late")
        del self.arrived[body]

    async def keep_pushing(self) -> None:
        """Push until cancelled."""
        while True:
            await self.push()
            await anyio.sleep(PAUSE)


@asynccontextmanager
async def honest_app(agent: Agent, app: str) -> AsyncIterator[HonestApp]:
    """Connect an app of this process."""
    async with connect(app, agent.socket, command=["/bin/true"]) as manager:
        registration = manager.registration
        assert registration is not None
        channel = (await manager.create_channel(registration.remote_id)).channel
        assert channel is not None
        first = {"uri": channel.uri, "token_url": registration.token_url, "client_id": registration.client_id}
        async with sender(first | {"client_secret": registration.client_secret}) as server:
            honest = HonestApp(app, channel._name, server)
            with channel.push_received(honest.handle):
                yield honest


@frozen
class Row:
    """What became of one attack; memory in MiB, times in seconds."""

    name: str
    outcome: str
    up: bool
    before: float
    peak: float
    after: float
    lines: int
    """How many lines the agent has logged."""
    said: str
    """The last of them."""
    pushes: int
    failures: int
    p50: float
    p99: float


async def attacked(agent: Agent, name: str, seconds: float, share: float) -> Row:
    """Let one attack run beside an honest app."""
    process = agent.process.pid
    async with honest_app(agent, f"honest.{name}") as honest:
        await honest.push()
        honest.times.clear()
        before, lines = memory(process, "VmRSS"), agent.said.count("\n")
        forget_peak(process)
        target = Target(str(agent.socket), honest.app, honest.channel, seconds, f"attacker.{name}", share)
        command = [sys.executable, "-m", "tests.e2e.agent_attackers", name, json.dumps(asdict(target))]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(honest.keep_pushing)
            with anyio.fail_after(PATIENCE + 10 * seconds + 100 * share):
                done = await anyio.run_process(command, check=False)
            tasks.cancel_scope.cancel()
        times, failures = sorted(honest.times), len(honest.failures)
        await honest.push()
        up = len(honest.failures) == failures
    said = agent.said.splitlines()[lines:]
    return Row(
        name,
        ((done.stdout or done.stderr).decode().splitlines() or ["?"])[-1],
        up,
        before,
        memory(process, "VmHWM"),
        memory(process, "VmRSS"),
        len(said),
        said[-1] if said else "",
        len(times),
        failures,
        quantile(times, 0.5),
        quantile(times, 0.99),
    )


def quantile(times: list[float], share: float) -> float:
    """Return the time that this share of sorted times does not exceed."""
    return times[math.ceil(share * len(times)) - 1] if times else math.nan


def open_to_all(folder: Path) -> None:
    """Let the modes of files keep no other user out: only the agent itself is left to do so."""
    for each in (folder, folder / "agent.sock"):
        os.chmod(each, 0o777)  # noqa: PTH101, S103  # that is the point


def shown(row: Row) -> str:
    """Return a line of the table."""
    state = "up" if row.up else "DOWN"
    return (
        f"{row.name:<18} {state:<4} {row.before:5.0f} {row.peak:6.0f} {row.after:6.0f}  {row.lines:5}"
        f"  {row.pushes:5} {row.failures:5} {row.p50 * 1e3:7.1f} {row.p99 * 1e3:7.1f}  {row.outcome}"
    )


async def main(names: list[str], seconds: float, share: float, limit: float) -> int:
    """Run the attacks, each on a new agent; return 1 if one of them did harm."""
    bad = False
    print("attack             agent  MiB before/peak/after  lines  pushes late  p50 ms  p99 ms  outcome", flush=True)  # noqa: T201
    for name in names or ATTACKS:
        with TemporaryDirectory() as folder, running_agent(Path(folder)) as agent:
            open_to_all(Path(folder))
            row = await attacked(agent, name, seconds, share)
        print(shown(row), flush=True)  # noqa: T201  # for who started it
        if row.said:
            print(f"    {row.said[:300]}", flush=True)  # noqa: T201
        bad |= not row.up or row.failures > 0 or row.after - row.before > limit
    return int(bad)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="how long what is endless lasts (default: 6)")
    parser.add_argument("--share", type=float, default=1.0, help="how much of its number an attack does (default: 1)")
    parser.add_argument("--limit", type=float, default=64.0, help="MiB that the agent may have more afterwards")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ATTACKS)} (default: all)")
    arguments = parser.parse_args()
    sys.exit(anyio.run(main, arguments.names, arguments.seconds, arguments.share, arguments.limit))
