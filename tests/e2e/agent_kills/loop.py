"""The cycles: kill at random, start again what is to run, and in the end let everything come to its end."""

from __future__ import annotations

import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import anyio
from attrs import Factory, asdict, define, frozen

from tests.e2e.agent_kills.account import AgentAccount
from tests.e2e.agent_kills.proc import age, children, kill, launched, words
from tests.e2e.agent_kills.programs import install, run_agent, serve_apps, stay
from tests.e2e.agent_kills.woken import Folder
from tests.e2e.crash.loop import free_port
from tests.e2e.crash.victims import PATIENCE, Registered, Stuck, Victim, within
from tests.e2e.crash.web_push import TTL, Reached, notify, post
from tests.processes import Sender
from tocsin.tasks import task_group

FEW = 5
"""Acknowledgements that a cycle waits for before it kills."""

SPREAD = 0.1
"""Seconds after those within which the kill falls."""

START = 0.15
"""Seconds within which what was started is killed once more, in some of the cycles."""

AT_THE_START = 0.2
"""In how many."""

LAUNCHED_LIFE = 0.6
"""Seconds that a launched process takes, about: its kill falls within them."""

OLD = 3.0
"""Seconds after which a launched process is not killed any more: one that does not end by itself is to be found in the end."""

KINDS = {"agent": 3, "app": 3, "launched": 3, "all": 1}
"""Who may be killed, and how often of ten times."""

STAYING = {"staying.1": 40, "staying.2": 40}
WOKEN = {"woken.once": 3, "woken.stays": 6}
"""The apps, those that a push launches by how they work, and how many of their payloads may be on their way."""

PAUSE = 0.005
"""Seconds between two pushes to an app, and between two looks at what other processes do."""

EVERY = 5.0
"""Seconds between two words on how far it is."""


@frozen
class AgentPlan:
    """What to do: how many cycles, by which seed."""

    cycles: int
    seed: int = 0


@define
class AgentFigures:
    """What came of it."""

    cycles: Counter[str] = Factory(Counter)
    killed_at_the_start: int = 0
    posts: int = 0
    acknowledged: int = 0
    messages: int = 0
    """Of Web Push, among them."""
    handled: dict[str, int] = Factory(dict)
    redelivered: int = 0
    unacknowledged: dict[str, int] = Factory(dict)
    dead_letters: dict[str, int] = Factory(dict)
    launched_killed: int = 0
    lost: list[str] = Factory(list)
    doubled: list[str] = Factory(list)
    orphans: list[str] = Factory(list)
    blocked_starts: list[str] = Factory(list)
    tracebacks: list[str] = Factory(list)
    seconds: float = 0.0

    @property
    def violations(self) -> list[str]:
        """All that must not be."""
        return self.lost + self.doubled + self.orphans + self.blocked_starts + self.tracebacks


class AgentKills:
    """One run, on one push service that stays."""

    def __init__(self, plan: AgentPlan, folder: Path) -> None:
        self._plan = plan
        self._random = random.Random(plan.seed)  # noqa: S311  # the same plan again, not a secret
        # Drawn first: what is drawn later depends on the moment, too.
        self._kinds = self._random.choices(list(KINDS), list(KINDS.values()), k=plan.cycles)
        self._again = [self._random.random() < AT_THE_START for _ in self._kinds]
        self._folder = Folder(folder)
        self._account = AgentAccount(self._folder)
        self._figures = AgentFigures()
        self._service = Victim("service", serve_apps, (folder / "service", free_port(), (*STAYING, *WOKEN)))
        self._agent = Victim("agent", run_agent, ())
        self._apps: dict[str, Victim] = {}
        self._reached: dict[str, Reached] = {}
        self._perform: dict[str, Callable[[], Awaitable[None]]] = {
            "agent": self._kill_agent,
            "app": self._kill_app,
            "launched": self._kill_launched,
            "all": self._kill_all,
        }
        self._stopping = False
        self._began = self._told = time.monotonic()

    async def run(self) -> AgentFigures:
        """Do all cycles, let everything come to its end, and judge.

        :raises Stuck: something that had to happen did not.
        """
        try:
            async with self._opened() as senders, task_group() as tasks:
                tasks.start_soon(self._read_on)
                async with task_group() as posting:
                    for app, sender in senders.items():
                        posting.start_soon(self._push_on, app, sender)
                    for number, kind in enumerate(self._kinds, 1):
                        await self._cycle(kind)
                        self._tell(number)
                    self._stopping = True
                await self._settle()
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):  # bounded by PATIENCE
                for victim in (*self._apps.values(), self._agent, self._service):
                    await victim.remove()
                for pid in launched(self._folder):
                    kill(pid)
        return self._sum_up()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[dict[str, Sender]]:
        """Start all, register what is to be launched, and sign the senders in."""
        self._service.start()
        registered: dict[str, Registered] = await self._service.hear("was not ready")
        self._agent.arguments = (self._folder, registered[next(iter(WOKEN))].url)
        await self._start_agent()
        for app in WOKEN:
            installer = Victim(app, install, (app, self._folder, registered[app].remote_id, app.removeprefix("woken.")))
            installer.start()
            self._reached[app] = await installer.hear("had no channel")
            await installer.stop()
        for app in STAYING:
            self._apps[app] = Victim(app, stay, (app, self._folder, registered[app].remote_id))
            await self._start_app(app)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            self._http = http
            senders = {app: Sender(http, asdict(each)) for app, each in registered.items()}
            for sender in senders.values():
                with within(PATIENCE, "there was no access token"):
                    await sender.sign_in()
            yield senders

    async def _start_agent(self) -> None:
        """Start the agent; where it does not start, that is noted, and it is tried once more."""
        self._agent.start()
        try:
            await self._agent.hear("was not ready")
        except Stuck as stuck:
            self._figures.blocked_starts.append(f"{stuck}: {self._folder.said.read_text()[-500:]}")
            await self._agent.remove()
            await anyio.sleep(1)
            self._agent.start()
            await self._agent.hear("was not ready")

    async def _start_app(self, app: str) -> None:
        self._apps[app].start()
        self._reached[app] = await self._apps[app].hear("had no channel")

    # The cycles

    async def _cycle(self, kind: str) -> None:
        with within(PATIENCE, f"before kill {self._figures.cycles.total() + 1}, nothing was acknowledged"):
            await self._account.wait_for(FEW)
        await anyio.sleep(self._random.uniform(0, SPREAD))  # the moment that chance has chosen
        await self._perform[kind]()
        self._figures.cycles[kind] += 1

    async def _kill_agent(self) -> None:
        await _end(self._agent)
        await self._once_more(self._agent)
        await self._start_agent()

    async def _kill_app(self) -> None:
        app = self._random.choice(list(STAYING))
        await _end(self._apps[app])
        await self._once_more(self._apps[app])
        await self._start_app(app)

    async def _kill_launched(self) -> None:
        """Kill a launched process, within about its life."""
        killed = False
        while not killed:
            with within(PATIENCE, "nothing was launched"):
                await _until(lambda: bool(self._young()))
            await anyio.sleep(self._random.uniform(0, LAUNCHED_LIFE))
            young = self._young()  # another one, it may be
            killed = bool(young) and kill(self._random.choice(young))
        self._figures.launched_killed += 1

    def _young(self) -> list[int]:
        return [pid for pid in launched(self._folder) if age(pid) < OLD]

    async def _kill_all(self) -> None:
        victims: list[Victim | int] = [self._agent, *self._apps.values(), *self._young()]
        for victim in self._random.sample(victims, len(victims)):
            if isinstance(victim, int):
                self._figures.launched_killed += kill(victim)
            else:
                victim.kill()
        for victim in (self._agent, *self._apps.values()):
            await _reaped(victim)
        await self._once_more(self._agent)
        await self._start_agent()
        for app in self._apps:
            await self._start_app(app)

    async def _once_more(self, victim: Victim) -> None:
        """Now and then, kill what is just starting."""
        if self._again[self._figures.cycles.total()]:
            self._figures.killed_at_the_start += 1
            victim.start()
            await anyio.sleep(self._random.uniform(0, START))
            await _end(victim)

    # The senders

    async def _push_on(self, app: str, sender: Sender) -> None:
        limit = (STAYING | WOKEN)[app]
        while not self._stopping:
            if self._account.backlog(app) < limit:
                await self._push(app, sender)
            await anyio.sleep(PAUSE)

    async def _push(self, app: str, sender: Sender) -> None:
        """Push the next payload; it is never sent a second time."""
        number, reached = self._account.next_number(app), self._reached[app]
        by_web_push, body = number % 2 == 1, b"%d" % number
        try:
            if by_web_push:
                outcome, id_ = await post(self._http, reached.subscription, body, TTL)
            else:
                outcome, id_ = await notify(sender, reached.uri, body)
        except (aiohttp.ClientError, OSError):
            self._account.refused["connection lost"] += 1
            return
        if outcome == "received":
            self._figures.messages += by_web_push
            self._account.acknowledge(number, id_)
        else:
            self._account.refused[outcome] += 1

    async def _read_on(self) -> None:
        while True:
            self._account.read()
            await anyio.sleep(4 * PAUSE)

    # The end

    async def _settle(self) -> None:
        """Wait until all payloads have come to their end, and no launched process is there; then stop the agent and the apps."""
        with anyio.move_on_after(PATIENCE):
            await _until(lambda: not self._account.read_dead_letters())
        self._account.read()
        if inbox := self._account.read_dead_letters():
            self._figures.lost.append(f"{inbox} payloads are still in the inbox")
        with anyio.move_on_after(PATIENCE):
            await _until(lambda: not self._left())
        self._figures.orphans = [f"process {pid} is still there: {words(pid)}" for pid in self._left()]
        for victim in (*self._apps.values(), self._agent, self._service):
            await victim.stop()

    def _left(self) -> set[int]:
        """Return what was launched and is still there, with what has ended and was not taken leave of by the agent."""
        return {*launched(self._folder), *children(self._agent.pid)}

    def _tell(self, cycle: int) -> None:
        """Say on standard error how far it is, every few seconds."""
        self._account.read_dead_letters()
        now = time.monotonic()
        if now - self._told >= EVERY:
            self._told = now
            account = self._account
            sys.stderr.write(
                f"{cycle} of {self._plan.cycles} cycles, {now - self._began:.0f} s, {len(account.acknowledged)}"
                f" acknowledged, {account.done.total} handled, {len(account.done.twice)} doubled\n"
            )

    def _sum_up(self) -> AgentFigures:
        account, figures = self._account, self._figures
        figures.posts, figures.acknowledged = account.posts, len(account.acknowledged)
        figures.handled, figures.redelivered = account.handled(), account.began.again
        figures.unacknowledged = dict(sorted(account.refused.items()))
        figures.dead_letters = dict(sorted(Counter(account.dead.values()).items()))
        figures.lost += account.lost()
        figures.doubled = account.began.twice + account.done.twice
        said = self._folder.said.read_text(encoding="utf-8")
        figures.tracebacks = [text[:1000] for text in said.split("Traceback")[1:]]
        figures.seconds = time.monotonic() - self._began
        return figures


async def _until(condition: Callable[[], bool]) -> None:
    """Wait for what other processes do."""
    while not condition():  # noqa: ASYNC110  # they tell it by files and by their presence only
        await anyio.sleep(2 * PAUSE)


async def _end(victim: Victim) -> None:
    victim.kill()
    await _reaped(victim)


async def _reaped(victim: Victim) -> None:
    code = await victim.reap()
    if code != -signal.SIGKILL:
        raise Stuck(f"the {victim.name} was not killed, but ended by itself with code {code}")
