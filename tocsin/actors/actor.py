"""The actor and its loop.

An actor takes its mailbox in batches. While it receives, it only changes its state and notes what is to be done; when
the batch is through, ``flush`` does it. So a batch is a transaction: if a message makes the actor fail, nothing of the
batch has been done, the actor begins anew, and the batch is taken again one message at a time; the one that fails once
more goes to the dead letters, with its traceback. A store that cannot be written makes no actor fail: ``flush`` waits for it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any, ClassVar, NoReturn, TypeVar

import anyio
from anyio import EndOfStream
from anyio.lowlevel import checkpoint
from attrs import Factory, evolve, frozen

from tocsin.actors.alarm import Alarm
from tocsin.actors.bad_frames import BadFrames
from tocsin.actors.clock import LoopClock
from tocsin.actors.turn_line import TurnLine
from tocsin.mailbox import Mailbox
from tocsin.protocol.errors import FrameError, PlatformUnavailable
from tocsin.protocol.kernel import restart
from tocsin.protocol.kernel.liveness import Progress
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages import Message, Stamped
from tocsin.protocol.messages.codec import decode_own, encode, rows_apart
from tocsin.tasks import Signal, task_group
from tocsin.traces import trace

logger = logging.getLogger(__name__)
Handler = TypeVar("Handler", bound=Callable[..., None])
FromApp = TypeVar("FromApp", bound=Callable[..., None])

Wait = Callable[[], Awaitable[object]]
"""What an actor has to wait for on the way, such as a commit."""


def receives(*kinds: type[Message]) -> Callable[[Handler], Handler]:
    """Mark the method of an actor that takes messages of these classes."""

    def mark(method: Handler) -> Handler:
        method.__dict__["receives"] = kinds
        return method

    return mark


def receives_from_apps(*kinds: type[Message]) -> Callable[[FromApp], FromApp]:
    """Mark the method of an actor that takes messages of these classes, which apps send; it gets their :class:`Stamped`."""

    def mark(method: FromApp) -> FromApp:
        method.__dict__["receives_from_apps"] = kinds
        return method

    return mark


class Actor:
    """State behind a mailbox; a subclass marks its methods with :func:`receives` and :func:`receives_from_apps`."""

    name: ClassVar[str]
    _methods: ClassVar[dict[type[Message], str]] = {}
    _methods_for_apps: ClassVar[dict[type[Message], str]] = {}

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls._methods = _marked(cls, "receives")
        cls._methods_for_apps = _marked(cls, "receives_from_apps")

    def __init__(self) -> None:
        self._receivers: dict[type[Message], Callable[[Any, bytes], None]] = {
            kind: getattr(self, name) for kind, name in self._methods.items()
        }
        self._receivers_from_apps: dict[type[Message], Callable[[Any, Stamped], None]] = {
            kind: getattr(self, name) for kind, name in self._methods_for_apps.items()
        }

    async def start(self) -> None:
        """Build the state from what outlives the actor."""

    def receive(self, message: Message, frame: bytes) -> None:
        """Take one message: change the state, note the effects.

        :raises FrameError: the message is not meant for this actor.
        """
        if isinstance(message, Stamped):
            self._receive_from_app(decode_own(message.frame), message)
            return
        receiver = self._receivers.get(type(message))
        if receiver is None:
            raise FrameError(f"{self.name} does not take {type(message).__name__}")
        receiver(message, frame)

    def _receive_from_app(self, message: Message, stamped: Stamped) -> None:
        receiver = self._receivers_from_apps.get(type(message))
        if receiver is None:
            raise FrameError(f"{self.name} does not take {type(message).__name__} from apps")
        receiver(message, stamped)

    def flush(self) -> Iterable[Wait]:
        """Perform the effects that this batch has noted; what has to be waited for on the way is yielded, and awaited before it goes on."""
        return ()


def _marked(cls: type, mark: str) -> dict[type[Message], str]:
    return {kind: name for name, method in vars(cls).items() for kind in getattr(method, mark, ())}


async def perform(effects: Iterable[Wait]) -> None:
    """Perform what :meth:`Actor.flush` returns to its end, outside of any turn."""
    for wait in effects:
        await wait()


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
        self._sleeps = False
        """Whether its task waits for the mailbox, and no turn goes on in the line."""
        self._filled = Signal()
        self._effects: Iterator[Wait] = iter(())
        """What is left of the turn that goes on."""
        self._due: Wait | None = None
        """What a turn in the line has left to the task."""
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
                self.stopped.set()
                tasks.cancel_scope.cancel()

    def progress(self) -> Progress:
        """Return how far it has come."""
        return Progress(self._turns, not self._sleeps or self.mailbox.depth > 0)

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
            if self._due is None and not self._backlog:
                self._careful = False
                await self._until_filled()
            wait = self._due or self._line.lead(self._begin_turn)
            while wait is not None:
                self._due = None
                await wait()
                wait = self._line.lead(self._go_on)

    async def _until_filled(self) -> None:
        """Wait for frames, or for what a turn in the line has left to do.

        :raises EndOfStream: the mailbox is closed and empty.
        """
        if self.mailbox.depth:
            await checkpoint()  # an actor that always finds something lets others run
        while not self.mailbox.depth and self._due is None:
            if self.mailbox.is_drained:
                raise EndOfStream
            self._sleeps = True
            try:
                await self._filled.wait()
            finally:
                self._sleeps = False

    def _have_turn(self) -> None:
        """See to it that what the mailbox holds is taken; a task that is awake will look by itself."""
        if self._sleeps:
            if self._line.join(self):
                self._sleeps = False
            else:
                self._filled.set()

    def take_turn(self) -> None:
        """Have a turn in the line, in the task of another; what has to be waited for, and a failure, are left to the own task."""
        if self.mailbox.depth:
            try:
                self._due = self._begin_turn()
            except Exception as failure:  # noqa: BLE001  # it is raised where the policy decides
                self._due = partial(_raise, failure)
        self.wake()

    def wake(self) -> None:
        """Let the task go on, where there is something for it."""
        if self._due is not None or self.mailbox.depth or self.mailbox.is_drained:
            self._filled.set()
        else:
            self._sleeps = True

    def _begin_turn(self) -> Wait | None:
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

    def _go_on(self) -> Wait | None:
        """Go on with what the frames ask for; return as :meth:`_begin_turn`."""
        wait = next(self._effects, None)
        if wait is None:
            if self._careful:
                self._backlog.popleft()
            else:
                self._backlog.clear()
            self._turns += 1
        return wait

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
