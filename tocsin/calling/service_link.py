"""An agent's connection to its calling service: kept up, signed in, and carrying messages both ways.

Its table is ``tocsin.protocol.calling.agent_connection``.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import anyio
from anyio.abc import TaskGroup
from attrs import evolve, frozen

from tocsin.calling.alarms import Alarms
from tocsin.calling.call_outbox import CallOutbox
from tocsin.calling.call_token_credential import SignIn
from tocsin.calling.open_questions import AnyAnswer, OpenQuestions
from tocsin.calling.service_wire import LastWord, first_of, greet, messages_in
from tocsin.calling.signalling import Signalling
from tocsin.protocol.calling.agent_connection import (
    LONGEST_WAIT,
    TABLE,
    ConnectionState,
    DisconnectedReason,
    Effect,
    Event,
    Phase,
    event_of_refusal,
    reason_of,
    refresh_after,
    state_of,
    wait_after,
)
from tocsin.protocol.errors import InvalidArgument, PlatformUnavailable, ProtocolViolation, PushError, error_of
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages.calling import CallHello, CallRefused, CallReport, RenewCallToken
from tocsin.protocol.messages.codec import split
from tocsin.protocol.text import MAX_DETAIL, describe_error, harmless
from tocsin.tasks import task_group
from tocsin.transport.wire import Wire, WireBroken

logger = logging.getLogger(__name__)

_REFRESH, _RETRY, _LASTED = "refresh", "retry", "lasted"


@frozen
class LinkHandlers:
    """What is called with what happens to a connection; none of it waits."""

    hello: Callable[[], CallHello]
    """Returns the first frame, in which the link sets the token."""
    welcomed: Callable[[], None]
    lost: Callable[[], None]
    """The connection is no more; what was asked over it has no answer."""
    reported: Callable[[CallReport], None]
    answered: Callable[[AnyAnswer], None]
    moved: Callable[[], None]
    """The state, or its reason, is another one."""


class ServiceLink:
    """Drives one connection through its state machine, for as long as its agent lives.

    :param fraction: random, from 0 to 1.
    """

    def __init__(  # noqa: PLR0913  # what an agent consists of meets here
        self,
        signalling: Signalling,
        sign_in: SignIn,
        *,
        outbox: CallOutbox,
        questions: OpenQuestions,
        alarms: Alarms,
        handlers: LinkHandlers,
        fraction: Callable[[], float],
    ) -> None:
        self._signalling = signalling
        self._credential = sign_in.credential
        self._token = sign_in.token
        self._user = sign_in.user.raw_id
        self._questions = questions
        self._alarms = alarms
        self._handlers = handlers
        self._fraction = fraction
        self._now: Callable[[], float] = anyio.current_time
        self._tasks: TaskGroup
        self._scopes: set[anyio.CancelScope] = set()
        """Of what belongs to the connection, or to the attempt at one."""
        self._outbox = outbox
        self._token_ends = 0.0
        """On the event loop's clock."""
        self._fresh_for = 0.0
        self._said: set[str] = set()
        self._failures = 0
        self._asked_to_wait = 0.0
        self.phase = Phase.NEW
        self.trouble: PushError | None = None
        """Why there is no connection, in words."""
        self._perform: dict[Effect, Callable[[], None]] = {
            Effect.CONNECT: partial(self._start, self._attempt),
            Effect.CLOSE: self._close,
            Effect.REFRESH_TOKEN: partial(self._start, self._refresh),
            Effect.SEND_TOKEN: self._send_token,
            Effect.ARM_REFRESH: self._arm_refresh,
            Effect.BACK_OFF: self._back_off,
            Effect.FORGET_FAILURES: self._forget_failures,
        }

    @property
    def state(self) -> ConnectionState:
        """What an app sees of it."""
        return state_of(self.phase)

    @property
    def reason(self) -> DisconnectedReason:
        """Why it is not connected."""
        return reason_of(self.phase)

    def begin(self, tasks: TaskGroup) -> None:
        """Connect, and connect again whenever the connection is lost, in tasks of this group."""
        self._tasks = tasks
        self._happen(Event.BEGIN)

    def dispose(self) -> None:
        """Be connected no more."""
        if self.phase is not Phase.DISPOSED:
            self._happen(Event.DISPOSE)

    def _happen(self, event: Event) -> None:
        before = self.state, self.reason
        self.phase, effects = step(TABLE, self.phase, event)
        for effect in effects:
            self._perform[effect]()
        if (self.state, self.reason) != before:
            self._handlers.moved()

    # Effects

    def _start(self, what: Callable[[anyio.CancelScope], Awaitable[None]]) -> None:
        """Do something in a task that ends with the connection, or with the attempt at one."""
        scope = anyio.CancelScope()
        self._scopes.add(scope)
        self._tasks.start_soon(self._within, scope, what)

    async def _within(self, scope: anyio.CancelScope, what: Callable[[anyio.CancelScope], Awaitable[None]]) -> None:
        try:
            if not scope.cancel_called:
                with scope:
                    await what(scope)
        finally:
            self._scopes.discard(scope)

    def _tell(self, scope: anyio.CancelScope, event: Event) -> None:
        """Let an event happen, unless what it is about is over."""
        if not scope.cancel_called:
            self._happen(event)

    def _close(self) -> None:
        for scope in self._scopes:
            scope.cancel()
        self._scopes.clear()
        self._alarms.clear(_REFRESH, _LASTED)
        self._outbox.clear()
        if self._questions.is_connected:
            self._questions.lose()
            self._handlers.lost()

    def _send_token(self) -> None:
        self._questions.ask(RenewCallToken(0, self._token), self._renewed)

    def _renewed(self, answer: AnyAnswer) -> None:
        if isinstance(answer, CallRefused):
            self._say("renewal", f"the calling service does not take a fresh token: {answer.text}")
            self._happen(Event.REFRESH_FAILED)
        else:
            self._token_ends = self._now() + self._fresh_for
            self._said.discard("refresh")
            self._said.discard("renewal")
            self._happen(Event.TOKEN_TAKEN)

    def _arm_refresh(self) -> None:
        left = self._token_ends - self._now()
        if self._credential.refresh_proactively and left > 0:
            self._alarms.set_in(_REFRESH, refresh_after(left), partial(self._happen, Event.TOKEN_AGES))

    def _back_off(self) -> None:
        self._failures += 1
        wait = max(wait_after(self._failures, self._fraction()), self._asked_to_wait)
        self._alarms.set_in(_RETRY, wait, partial(self._happen, Event.RETRY))

    def _forget_failures(self) -> None:
        if self._said:
            logger.warning("there is a connection to the calling service again, and it lasts")
        self._failures = 0
        self._said.clear()

    # Tasks

    async def _refresh(self, scope: anyio.CancelScope) -> None:
        if not self._credential.has_refresher:
            self._tell(scope, Event.NO_REFRESHER)
            return
        try:
            token, claims = await self._credential.refresh(self._token)
        except (InvalidArgument, PlatformUnavailable) as failure:
            self._say("refresh", f"there is no fresh call token: {failure}")
            self.trouble = failure
            self._tell(scope, Event.REFRESH_FAILED)
        else:
            if not scope.cancel_called:
                self._token, self._fresh_for = token, self._credential.seconds_left(claims)
            self._tell(scope, Event.TOKEN_REFRESHED)

    async def _attempt(self, scope: anyio.CancelScope) -> None:
        """Hold one connection until it is lost, and note why it was."""
        lost, wait, cause, event = "", 0.0, "", Event.LOST
        try:
            async with self._signalling.open() as wire:
                await self._hold(scope, wire)
        except* LastWord as refused:
            word = first_of(refused).refused
            event, cause, lost = (
                event_of_refusal(word.error),
                word.error,
                f"{self._signalling.place} has said: {word.text}",
            )
            self.trouble = error_of(word.error, word.text, word.hresult)
        except* WireBroken as broken:
            first = first_of(broken)
            lost, cause, wait = str(first), str(first.cause), first.retry_after or 0.0
        except* ProtocolViolation as violation:
            lost = cause = f"{self._signalling.place} has broken the protocol: {first_of(violation)}"
        except* Exception as unknown:  # no error of any kind may end the app
            lost, cause = describe_error(first_of(unknown)), "unexpected"
            if not scope.cancel_called and cause not in self._said:
                logger.exception("the connection to the calling service has failed")
        if scope.cancel_called:
            return
        if event is Event.LOST:
            self.trouble = PlatformUnavailable(f"there is no connection to the calling service: {lost}")
        self._asked_to_wait = wait
        self._say(cause, f"no connection to the calling service: {lost}")
        self._happen(event)

    def _say(self, thing: str, text: str) -> None:
        """Say each thing once, until the connection lasts."""
        logger.log(logging.DEBUG if thing in self._said else logging.WARNING, "%s", harmless(text, MAX_DETAIL))
        self._said.add(thing)

    async def _hold(self, scope: anyio.CancelScope, wire: Wire) -> None:
        welcome, early = await greet(wire, evolve(self._handlers.hello(), token=self._token))
        if welcome.user != self._user:
            raise ProtocolViolation("it welcomes another user than that of the token")
        if scope.cancel_called:
            return
        self._token_ends = self._now() + welcome.token_left
        self.trouble = None
        self._questions.is_connected = True
        self._alarms.set_in(_LASTED, LONGEST_WAIT, partial(self._happen, Event.LASTED))
        self._happen(Event.WELCOMED)
        self._handlers.welcomed()
        async with task_group() as tasks:
            tasks.start_soon(self._write, wire)
            self._take(scope, early)
            while True:
                self._take(scope, split(await wire.receive()))

    async def _write(self, wire: Wire) -> None:
        while True:
            await wire.send(await self._outbox.chunk())

    def _take(self, scope: anyio.CancelScope, frames: Iterable[bytes]) -> None:
        for message in messages_in(frames):
            if scope.cancel_called:
                return
            if isinstance(message, CallReport) and not message.request:
                self._handlers.reported(message)
            else:
                self._handlers.answered(message)
