"""The loop of an actor: its turns, its restarts, and its end.

A turn takes place in the task of the actor, or in the line behind the turn of another; what it has to wait for is heard of
by a callback where that is possible, and else waited for in the actor's task.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import partial
from typing import NoReturn

import anyio
from anyio import EndOfStream
from anyio.lowlevel import checkpoint
from attrs import Factory, evolve, frozen

from tocsin.actors.actor import Actor, Wait
from tocsin.actors.alarm import Alarm
from tocsin.actors.bad_frames import BadFrames
from tocsin.actors.clock import LoopClock
from tocsin.actors.turn_line import TurnLine
from tocsin.mailbox import Mailbox
from tocsin.protocol.errors import FrameError, PlatformUnavailable
from tocsin.protocol.kernel import restart
from tocsin.protocol.kernel.liveness import Progress
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages import Stamped
from tocsin.protocol.messages.codec import decode_own, encode, rows_apart
from tocsin.tasks import Completion, Signal, task_group
from tocsin.traces import trace

logger = logging.getLogger(__name__)


@frozen
class Kernel:
    """What all actors of a platform share."""

    clock: LoopClock = Factory(LoopClock)
    dead_letters: BadFrames = Factory(BadFrames)
    restarts: restart.RestartPolicy = Factory(restart.RestartPolicy)
    line: TurnLine = Factory(TurnLine)


class ActorRunner:
    """Runs one actor: batches, restarts, dead letters, and its end when the mailbox is closed and empty."""

    def __init__(
        self,
        mailbox: Mailbox,
        build: Callable[[Alarm], Actor],
        kernel: Kernel,
        announce: Callable[[str], None],
    ) -> None:
        self.mailbox = mailbox
        self.stopped = anyio.Event()
        self.started = anyio.Event()
        self.restarts = 0
        self._build = build
        self._dead_letters = kernel.dead_letters
        self._clock = kernel.clock
        self._line = kernel.line
        self._policy = kernel.restarts
        self._announce = announce
        self._phase = restart.Phase.STARTING
        self._failures: deque[float] = deque(maxlen=self._policy.intensity + 1)
        self._backlog: deque[bytes] = deque()
        self._careful = False
        self._alarm = Alarm(mailbox)
        self._actor: Actor
        self._failure: Exception | None = None
        self._turns = 0
        self._filled = Signal()
        self._sleeps = False
        """Whether its task has no turn, and waits for something to do."""
        self._is_elsewhere = False
        """Whether a turn is due in the line, or goes on without the task."""
        self._effects: Iterator[Wait] = iter(())
        """What is left of the turn that goes on."""
        self._awaited: Completion | None = None
        """What a turn elsewhere waits for."""
        self._left: Awaitable[object] | None = None
        """What a turn elsewhere has left for the task to wait for."""
        mailbox.on_filled = self._have_turn
        self._perform: dict[restart.Effect, Callable[[], Awaitable[restart.Event | None]]] = {
            restart.Effect.SERVE: self._live,
            restart.Effect.BEGIN_ANEW: self._begin_anew,
            restart.Effect.ESCALATE: self._escalate,
        }

    async def run(self) -> None:
        """Run the actor until its mailbox ends.

        :raises PlatformUnavailable: it failed too often; the last failure is the cause.
        """
        async with task_group() as tasks:
            tasks.start_soon(self._alarm.run)
            try:
                event: restart.Event | None = await self._begin()
                while event is not None:
                    self._phase, effects = step(restart.TABLE, self._phase, event)
                    event = None
                    for effect in effects:
                        event = await self._perform[effect]()
            finally:
                self._withdraw()
                self.stopped.set()
                tasks.cancel_scope.cancel()

    def progress(self) -> Progress:
        """Return how far it has come."""
        return Progress(self._turns, not self._sleeps or self._is_elsewhere or self.mailbox.has_any)

    async def _begin(self) -> restart.Event:
        """Build an instance of the actor from what outlives it."""
        self._alarm.set(None)
        try:
            self._actor = self._build(self._alarm)
            await self._actor.start()
        except Exception as failure:  # noqa: BLE001  # whatever it was, the policy decides
            return self._judge(failure)
        return restart.Event.STARTED

    # Effects: each tells what has happened

    async def _live(self) -> restart.Event:
        """Serve, until the actor fails or the mailbox ends."""
        self.started.set()
        if self.restarts:
            self._announce(self.mailbox.name)
        try:
            await self._serve()
        except EndOfStream:
            return restart.Event.DRAINED
        except Exception as failure:  # noqa: BLE001  # as above
            return self._fail(failure)

    async def _begin_anew(self) -> restart.Event:
        self._failure = None
        self.restarts += 1
        return await self._begin()

    async def _escalate(self) -> None:
        raise PlatformUnavailable(f"{self.mailbox.name} keeps failing: {self._failure}") from self._failure

    async def _serve(self) -> NoReturn:
        while True:
            if not self._backlog:
                self._careful = False
                await self._until_filled()
            wait, self._left = self._left, None
            if wait is None:
                wait = self._line.lead(self._begin_turn)
            while wait is not None:
                await wait
                wait = self._line.lead(self._go_on)

    async def _until_filled(self) -> None:
        """Wait for frames, or for what a turn elsewhere has left to do.

        :raises EndOfStream: the mailbox is closed and empty.
        """
        if self.mailbox.has_any:
            await checkpoint()  # an actor that always finds something lets others run
        try:
            while self._left is None and (self._is_elsewhere or not self.mailbox.has_any):
                if self.mailbox.is_closed and not self._is_elsewhere:
                    raise EndOfStream
                self._sleeps = True
                await self._filled.wait()
        finally:
            self._sleeps = False

    # Turns that take place elsewhere than in the task, which sleeps meanwhile

    def _have_turn(self) -> None:
        """See to it that what the mailbox holds is taken; where a turn goes on, it is at its end."""
        if self._sleeps and not self._is_elsewhere and self._left is None:
            self._is_elsewhere = self._line.join(self)
            if not self._is_elsewhere:
                self._filled.set()

    def take_turn(self) -> None:
        """Have a turn in the line."""
        self._advance(self._begin_turn)

    def fail(self, failure: Exception) -> None:
        """Leave a failure to the task, where the policy decides."""
        self._leave(_raise(failure))

    def wake(self) -> None:
        """Have the turn in the task."""
        self._is_elsewhere = False
        self._filled.set()

    def _advance(self, part: Callable[[], Awaitable[object] | None]) -> None:
        """Do a part of a turn; what no callback will tell the end of is left to the task."""
        wait = part() if self._sleeps else None  # it may have been cancelled meanwhile
        if isinstance(wait, Completion):
            self._awaited = wait
            wait.then(self._resume)
        else:
            self._leave(wait)

    def _leave(self, wait: Awaitable[object] | None) -> None:
        """Have no turn elsewhere any more; what is left of it is for the task."""
        self._left = wait
        self._is_elsewhere = False
        if wait is not None or self.mailbox.is_to_be_read:
            self._filled.set()

    def _resume(self) -> None:
        """Go on with a turn: what it has waited for has ended."""
        try:
            self._line.lead(partial(self._advance, self._check_and_go_on))
        except Exception as failure:  # noqa: BLE001  # what has called back, such as a writer, has no part in it
            self.fail(failure)

    def _check_and_go_on(self) -> Awaitable[object] | None:
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            awaited.check()
        return self._go_on()

    def _withdraw(self) -> None:
        """Wait for nothing any more."""
        if self._awaited is not None:
            self._awaited.withdraw()
        if isinstance(self._left, Coroutine):
            self._left.close()

    # A turn

    def _begin_turn(self) -> Awaitable[object] | None:
        """Take frames, and begin to perform what they ask for; return what has to be waited for, None at the turn's end."""
        if not self._backlog:
            self._backlog.extend(self.mailbox.take())
        if self._careful:
            self._receive(self._backlog[0])
        else:
            for frame in self._backlog:
                self._receive(frame)
        self._effects = iter(self._actor.flush())
        return self._go_on()

    def _go_on(self) -> Awaitable[object] | None:
        """Go on with what the frames ask for; return as :meth:`_begin_turn`."""
        wait = next(self._effects, None)
        if wait is not None:
            return wait()
        if self._careful:
            self._backlog.popleft()
        else:
            self._backlog.clear()
        self._turns += 1
        return None

    def _receive(self, frame: bytes) -> None:
        try:
            self._actor.receive(decode_own(frame), frame)
        except FrameError as broken:
            self.mailbox.dead += 1
            self._dead_letters.add(self.mailbox.name, frame, str(broken))

    def _fail(self, failure: Exception) -> restart.Event:
        """Take the backlog again one message, and one row, at a time; if it is known which it was, that one dies."""
        if not self._careful:
            apart = [row for frame in self._backlog for row in _rows_of(frame)]
            if len(apart) > 1:
                self._backlog = deque(apart)
                self._careful = True
                return restart.Event.FAILED
        self.mailbox.dead += 1
        self._dead_letters.add(self.mailbox.name, self._backlog.popleft(), trace(failure))
        return self._judge(failure)

    def _judge(self, failure: Exception) -> restart.Event:
        """Count a failure, and decide which event it is."""
        now = self._clock.monotonic()
        self._failures.append(now)
        self._failure = failure
        logger.error("%s failed: %s", self.mailbox.name, trace(failure))
        return self._policy.classify(self._failures, now)


async def _raise(failure: Exception) -> None:
    raise failure


def _rows_of(frame: bytes) -> list[bytes]:
    """Return the frames of the single rows of a batch; any other frame as it is."""
    try:
        message = decode_own(frame)
        stamped = message if isinstance(message, Stamped) else None
        apart = rows_apart(message if stamped is None else decode_own(stamped.frame))
    except FrameError:
        return [frame]
    if len(apart) <= 1:
        return [frame]
    rows = [encode(row) for row in apart]
    return rows if stamped is None else [encode(evolve(stamped, frame=row)) for row in rows]
