"""Calls to PostgreSQL that go there together: what is asked in one turn of the loop, or while all connections are busy, is one statement."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, Final

import asyncpg
from anyio.abc import TaskGroup
from attrs import Factory, define, field, frozen

from tocsin.durations import Durations
from tocsin.persistence.postgres_connection import bounded
from tocsin.persistence.postgres_line import PostgresLine
from tocsin.persistence.postgres_statements import Link
from tocsin.persistence.postgres_words import FAILURES, event_of, is_lost, name_of, sentence
from tocsin.persistence.write_fault import WriteFault
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.durability import Event, RecoveryPolicy

MOST: Final = 20_000
"""Calls that wait for their turn; more are refused."""

AGAIN: Final = object()
"""What a call comes to that has to be run once more."""

_GIVEN_UP: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)
"""How the server gives a transaction up in favour of another: nothing of it is there."""


@frozen(eq=False)
class LaneWork:
    """A kind of call.

    ``run`` is given what was asked, up to ``size`` of it, never twice of one key, and returns what comes of each, or ``AGAIN``; it is one
    transaction, or writes nothing.
    """

    run: Callable[[Link, Sequence[Any]], Awaitable[Sequence[Any]]]
    size: int = 256


@define(eq=False)
class _Call:
    """One that waits; ``may_repeat`` tells whether it may be run once more where it is not known what became of it."""

    work: LaneWork
    key: Hashable
    asked: Any
    may_repeat: bool
    until: float
    answer: asyncio.Future[Any]
    is_begun: bool = False
    is_alone: bool = False
    """Whether it is run by itself, since one that was run with it was wrong."""

    def end(self, result: Any) -> None:
        """Let its caller go on, if it still waits."""
        if not self.answer.done():
            self.answer.set_result(result)

    def fail(self, failure: BaseException) -> None:
        """Let its caller have an error, if it still waits."""
        if not self.answer.done():
            self.answer.set_exception(failure)


@define(eq=False)
class _Queue:
    """The calls of one kind: those that wait, and the keys that calls are under way for, with those that wait for their end."""

    waiting: deque[_Call] = Factory(deque)
    busy: dict[Hashable, deque[_Call] | None] = Factory(dict)

    def claim(self, call: _Call) -> bool:
        """Take a call's key for it; False: the call waits for the key."""
        if call.key is None:
            return True
        if call.key not in self.busy:
            self.busy[call.key] = None
            return True
        if (others := self.busy[call.key]) is None:
            others = self.busy[call.key] = deque()
        others.append(call)
        return False


@define(eq=False)
class Lanes:
    """Runs calls over a few connections, until its tasks are cancelled.

    Calls with the same key, unless it is None, go one after the other. A connection that breaks takes with it what was under way on it, but for what may be
    repeated; what waits goes over the next one.

    :param patience: seconds that a call waits at most, and after which a connection without an answer counts as broken.
    :param trial: writes something that is not kept: after a failure :attr:`fault` says why until this succeeds. None: there is no fault.
    """

    _url: str
    _patience: float
    _lines: list[PostgresLine]
    _trial: LaneWork | None = None
    durations: Durations = Factory(Durations)
    """How long what is run in one go took, what failed as well."""
    _policy: RecoveryPolicy = Factory(lambda: RecoveryPolicy(longest=0.5))
    _queues: defaultdict[LaneWork, _Queue] = Factory(lambda: defaultdict(_Queue))
    _open: deque[_Call] = Factory(deque)
    """All that have come, in their order; those that are over leave it later."""
    _count: int = 0
    _idle: deque[asyncio.Future[None]] = Factory(deque)
    _is_waking: bool = False
    _sweeping: asyncio.TimerHandle | None = None
    _reason: str = field(init=False)
    _fault: WriteFault | None = field(init=False, default=None)
    _is_closed: bool = False

    def __attrs_post_init__(self) -> None:
        self._reason = f"{name_of(self._url)} does not answer"
        if (trial := self._trial) is not None:
            self._fault = WriteFault(lambda: self.ask(trial, None, None, may_repeat=True))

    @property
    def fault(self) -> str | None:
        """Why nothing can be written just now, as a sentence; None while all is well."""
        return None if self._fault is None else self._fault.said

    def start(self, tasks: TaskGroup) -> None:
        """Begin to run calls."""
        for number, line in enumerate(self._lines):
            tasks.start_soon(self._serve, line, name=f"lane {number} of PostgreSQL")

    def ask(self, work: LaneWork, key: Hashable, asked: Any, *, may_repeat: bool = False) -> asyncio.Future[Any]:
        """Return what comes of a call, which is ``StateUnavailable`` also where too many wait."""
        loop = asyncio.get_running_loop()
        call = _Call(work, key, asked, may_repeat, loop.time() + self._patience, loop.create_future())
        if self._count >= MOST or self._is_closed:
            said = self._reason if self._is_closed else f"too much waits for {name_of(self._url)}"
            call.fail(StateUnavailable(said))
            return call.answer
        while self._open and self._open[0].answer.done():
            self._open.popleft()
        self._open.append(call)
        self._queues[work].waiting.append(call)
        self._count += 1
        if self._sweeping is None:
            self._sweeping = loop.call_at(call.until, self._sweep)
        if not self._is_waking:
            self._wake()
        return call.answer

    def break_off(self) -> None:
        """Break all connections, before the tasks are cancelled, and refuse what waits."""
        self._is_closed = True
        self._reason = f"{name_of(self._url)} is closed"
        if self._fault is not None:
            self._fault.close()
        for line in self._lines:
            line.drop()
        self._lose_patience(math.inf)
        if self._sweeping is not None:
            self._sweeping.cancel()

    def _wake(self) -> None:
        """Have one lane that has nothing to do look for work: the one that was at work last."""
        while self._idle:
            idle = self._idle.pop()
            if not idle.done():
                self._is_waking = True
                idle.set_result(None)
                return

    def _sweep(self) -> None:
        self._sweeping = None
        loop = asyncio.get_running_loop()
        self._lose_patience(loop.time())
        if self._open:
            self._sweeping = loop.call_at(self._open[0].until, self._sweep)

    def _lose_patience(self, now: float) -> None:
        while self._open and (self._open[0].answer.done() or self._open[0].until <= now):
            call = self._open.popleft()
            call.fail(StateUnavailable(self._reason, in_doubt=call.is_begun))

    async def _serve(self, line: PostgresLine) -> None:
        failures = 0
        try:
            while True:
                self._is_waking = False
                calls = self._take()
                if not calls:
                    idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._idle.append(idle)
                    await idle
                    continue
                if self._count:
                    self._wake()
                failures = failures + 1 if not await self._run(calls, line) else 0
                for call in calls:
                    self._free(call)
                if failures:
                    await asyncio.sleep(self._policy.wait(failures))
        finally:
            line.drop()

    def _take(self) -> list[_Call]:
        """Return calls that can be run together, of the kind of which one waits the longest."""
        calls: list[_Call] = []
        while not calls and (found := [queue for queue in self._queues.values() if queue.waiting]):
            queue = min(found, key=lambda each: each.waiting[0].until)
            waiting = queue.waiting
            size = 1 if waiting[0].is_alone else waiting[0].work.size
            while waiting and len(calls) < size and not (waiting[0].is_alone and calls):
                call = waiting.popleft()
                if call.answer.done():
                    self._count -= 1
                elif queue.claim(call):
                    self._count -= 1
                    calls.append(call)
        return calls

    def _free(self, call: _Call) -> None:
        """Have those run that wait for a call's end."""
        queue = self._queues[call.work]
        others = queue.busy.pop(call.key, None)
        if others:
            queue.waiting.extendleft(reversed(others))
            if not self._is_waking:
                self._wake()

    async def _run(self, calls: list[_Call], line: PostgresLine) -> bool:
        """Run calls, and return whether there is a connection."""
        try:
            link = await line.connected()
        except StateUnavailable as failure:
            self._fail(calls, failure)
            return True
        except FAILURES as failure:
            line.drop()
            self._reason = sentence(name_of(self._url), failure)
            self._put_back(calls)
            return False
        for call in calls:
            call.is_begun = True
        try:
            with bounded(link, self._patience, self.durations):
                results = await calls[0].work.run(link, [call.asked for call in calls])
        except FAILURES as failure:
            self._judge(calls, failure, line)
        except Exception as failure:  # noqa: BLE001  # what a caller's own function has raised is the caller's
            self._fail(calls, failure)
        else:
            for call, result in zip(calls, results, strict=True):
                if result is AGAIN:
                    self._put_back([call])
                else:
                    call.end(result)
        return True

    def _judge(self, calls: list[_Call], failure: BaseException, line: PostgresLine) -> None:
        said = sentence(name_of(self._url), failure)
        if is_lost(failure):
            line.drop()
            self._reason = said
            if isinstance(failure, TimeoutError):  # else the next one connects; where it cannot, leases tell of it
                self._note(said)
            self._put_back([call for call in calls if call.may_repeat])
            self._fail([call for call in calls if not call.may_repeat], StateUnavailable(said, in_doubt=True))
        elif isinstance(failure, _GIVEN_UP):
            self._put_back(calls)
        elif event_of(failure) is Event.REFUSED and len(calls) > 1:
            for call in calls:
                call.is_alone = True
            self._put_back(calls)
        else:
            if event_of(failure) is not Event.REFUSED:
                self._note(said)
            self._fail(calls, StateUnavailable(said))

    def _note(self, said: str) -> None:
        if self._fault is not None:
            self._fault.failed(said)

    def _put_back(self, calls: list[_Call]) -> None:
        for call in reversed(calls):
            call.is_begun = call.is_begun and call.may_repeat
            self._free(call)  # those behind it stay there
            if not call.answer.done():
                self._queues[call.work].waiting.appendleft(call)
                self._count += 1

    def _fail(self, calls: list[_Call], failure: BaseException) -> None:
        for call in calls:
            call.fail(failure)
