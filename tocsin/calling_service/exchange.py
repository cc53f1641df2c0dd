"""The actor that all calls of a service go through, one event after the other: decide, write down, install, and then tell and push.

What is decided is the :class:`Switchboard`'s; nothing here knows a rule of calls. What cannot be written down has not happened: it is
refused, and undone as soon as possible where it may have been written all the same; what time has brought about is tried again.
"""

from __future__ import annotations

import base64
import logging
import math
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Protocol

from tocsin.calling_service.call_pushes import CallPushes
from tocsin.calling_service.calling_store import CallingStore
from tocsin.calling_service.event_queue import EventQueue
from tocsin.calling_service.pusher import Pusher
from tocsin.protocol.calling.switchboard import DISPLACED, Switchboard, refusal
from tocsin.protocol.calling.switchboard_rows import Effect, Endpoint, Part, Push, Pushed, Tell, Turn, TurnRows
from tocsin.protocol.errors import NotSupported, PushError, StateUnavailable
from tocsin.protocol.kernel.backoff import backoff
from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.calling import CallHello, CallRefused, RegisterForCallPush, StartCall
from tocsin.repeat_log import RepeatLog
from tocsin.tasks import task_group

FIRST_WAIT: Final = 0.5
"""Seconds until what time has brought about, and could not be written, is tried again; doubled each time."""

LAST_WAIT: Final = 30.0
"""Seconds of the longest wait."""

LOOKS_EVERY: Final = 10.0
"""Seconds after which it looks at the time at least: the loop's clock stands still while the machine sleeps, and the service's goes on."""

logger = logging.getLogger(__name__)


class Line(Protocol):
    """A connection, as the exchange sees it; neither method waits, and neither raises.

    One that cannot take what it is told in time closes itself.
    """

    @property
    def endpoint(self) -> Endpoint:
        """Whose it is."""
        ...

    def tell(self, message: Message) -> None:
        """Send a message behind all before."""

    def part(self, last_word: CallRefused) -> None:
        """Send a last message, and close."""


def _unguessable() -> str:
    return base64.b64encode(secrets.token_bytes(16)).decode()


class Exchange:
    """Takes what connections ask, what pushes come to, and what time brings about.

    :param pusher: None: only endpoints that are connected ring.
    :param now: the service's time.
    :param ring_time: seconds for which a call rings at most.
    :param make_context: makes what a call's pushes have as ``cp``, unguessable.
    """

    def __init__(  # noqa: PLR0913 - what it stands on
        self,
        store: CallingStore,
        pusher: Pusher | None,
        *,
        now: Callable[[], float],
        ring_time: float = 120.0,
        recurring: RepeatLog | None = None,
        make_context: Callable[[], str] = _unguessable,
    ) -> None:
        self._store = store
        self._pusher = pusher
        self._now = now
        self._ring_time = ring_time
        self._recurring = recurring or RepeatLog()
        self._make_context = make_context
        self._lines: dict[Endpoint, Line] = {}
        self._board: Switchboard
        self._pushes: CallPushes
        self._events = EventQueue()
        self._failures = 0
        self._not_before = -math.inf
        self._in_doubt: TurnRows | None = None
        """What was refused, but may have been written all the same."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while the block runs, from what was kept.

        :raises StateUnavailable: what was kept cannot be read.
        """
        kept = await self._store.load()
        self._board = Switchboard(kept.calls, kept.registrations, now=self._now(), ring_time=self._ring_time)
        async with task_group() as tasks:
            self._pushes = CallPushes(tasks, self._pusher, self._now, self._came_to, self._recurring)
            self._perform(self._board.resume(self._now()))
            tasks.start_soon(self._serve, name="exchange")
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                self._events.close()

    # Events

    async def connect(self, line: Line, hello: CallHello) -> None:
        """Let an endpoint in, which its welcome was told to before; it is told how its calls stand, or parted with a word why not."""
        await self._events.post(partial(self._connect, line, hello))

    async def ask(self, line: Line, question: Message) -> None:
        """Take a question of an endpoint: the answer has been told on its line when this returns, in order with all else.

        One at a time for each line. A line that another has displaced gets no answer.
        """
        await self._events.post(partial(self._ask, line, question))

    async def leave(self, line: Line, *, said_goodbye: bool = False) -> None:
        """A connection has ended; ``said_goodbye`` where its agent has. That comes to pass also where the wait for it is cancelled."""
        # Else the endpoint would count as connected for good.
        await self._events.post(partial(self._leave, line, said_goodbye=said_goodbye), waits_for_room=False)

    async def remove_user(self, user: str) -> None:
        """End a user's calls, registrations and connections.

        :raises StateUnavailable: it could not be written; nothing has changed.
        """
        await self._events.post(partial(self._take, lambda now: self._board.remove_user(user, now)))

    async def _came_to(self, push: Push, outcome: Pushed) -> None:
        """A push has come to something; what cannot be written of that comes again with the next one."""
        try:
            await self._events.post(partial(self._take, lambda now: self._board.pushed(push, outcome, now)))
        except PushError as failure:
            self._complain("what has become of a push could not be kept", failure)

    # The actor

    async def _serve(self) -> None:
        while True:
            await self._events.take_next(min(self._wait(), LOOKS_EVERY))
            if self._wait() <= 0:
                await self._take_due()

    def _wait(self) -> float:
        """Return the seconds until time brings something about."""
        due = -math.inf if self._in_doubt is not None else self._board.next_due()
        return math.inf if due is None else max(due, self._not_before) - self._now()

    async def _take_due(self) -> None:
        try:
            await self._undo_doubtful()
            await self._take(self._board.due)
        except PushError as failure:
            self._failures += 1
            self._not_before = self._now() + backoff(FIRST_WAIT, LAST_WAIT, self._failures)
            self._complain("what time has brought about waits for the store", failure)
        else:
            self._failures, self._not_before = 0, -math.inf

    async def _connect(self, line: Line, hello: CallHello) -> None:
        try:
            turn = await self._keep(lambda now: self._board.hello(line.endpoint, hello, now))
        except PushError as failure:
            line.part(refusal(0, failure))
            return
        former = self._lines.get(line.endpoint)
        self._lines[line.endpoint] = line
        if former is not None and former is not line:
            former.part(DISPLACED)
        self._perform(turn)

    async def _ask(self, line: Line, question: Message) -> None:
        if self._lines.get(line.endpoint) is not line:
            return
        try:
            turn = await self._keep(lambda now: self._answer(line.endpoint, question, now))
        except PushError as failure:
            line.tell(refusal(getattr(question, "request", 0), failure))
            return
        if turn.answer is not None:
            line.tell(turn.answer)
        self._perform(turn)

    def _answer(self, endpoint: Endpoint, question: Message, now: float) -> Turn:
        if isinstance(question, StartCall):
            return self._board.start(endpoint, question, self._make_context(), now)
        if isinstance(question, RegisterForCallPush):
            self._check_channel(question.uri)
        return self._board.ask(endpoint, question, now)

    def _check_channel(self, uri: str) -> None:
        if self._pusher is None:
            raise NotSupported("this calling service makes no pushes: only devices that are connected ring")
        self._pusher.check(uri)

    async def _leave(self, line: Line, *, said_goodbye: bool) -> None:
        if self._lines.get(line.endpoint) is line:
            del self._lines[line.endpoint]
            await self._take(lambda now: self._board.left(line.endpoint, now, said_goodbye=said_goodbye))

    async def _take(self, decide: Callable[[float], Turn]) -> None:
        """Take an event that gets no answer."""
        self._perform(await self._keep(decide))

    async def _keep(self, decide: Callable[[float], Turn]) -> Turn:
        """Decide, write down, and install.

        :raises PushError: it is refused, or could not be written; nothing has changed.
        """
        try:
            turn = decide(self._now())
        except PushError:
            raise
        except Exception:
            logger.exception("an event of a call was not understood, and has changed nothing")
            raise PushError("the calling service has failed at this, and says why in its log") from None
        if turn.rows:
            await self._write(turn.rows)
        self._board.install(turn)
        return turn

    async def _write(self, rows: TurnRows) -> None:
        """Write down what a turn has to keep."""
        await self._undo_doubtful()
        try:
            await self._store.commit(rows)
        except StateUnavailable as failure:
            if failure.in_doubt:
                self._in_doubt = rows
            raise

    async def _undo_doubtful(self) -> None:
        """Write anew how all stands of which something else may have been written: a new start would take that for so."""
        if self._in_doubt is not None:
            await self._store.commit(self._board.as_installed(self._in_doubt))
            self._in_doubt = None

    # Effects

    def _perform(self, turn: Turn) -> None:
        for row in turn.rows.calls:
            if row.silent_since:
                self._pushes.stop_ringing(row.call)
        for endpoint in turn.rows.forgotten_registrations:
            self._pushes.forget(endpoint)
        for effect in turn.effects:
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        if isinstance(effect, Tell):
            line = self._lines.get(effect.endpoint)
            if line is not None:
                line.tell(effect.message)
        elif isinstance(effect, Part):
            line = self._lines.pop(effect.endpoint, None)
            if line is not None:
                line.part(effect.last_word)
        else:
            self._pushes.send(effect)

    def _complain(self, what: str, failure: PushError) -> None:
        level = logging.WARNING if isinstance(failure, StateUnavailable) else logging.ERROR
        self._recurring.log(logger, level, what, "%s: %s", what, failure)
