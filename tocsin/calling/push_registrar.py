"""Keeps a device registered for pushes about calls, for as long as its agent lives.

Its table is ``tocsin.protocol.calling.push_registration``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

import anyio
from attrs import define, field

from tocsin.calling.alarms import Alarms
from tocsin.calling.open_questions import ASK_TIMEOUT, AnyAnswer, OpenQuestions, Question
from tocsin.protocol.calling.push_registration import (
    OFFLINE,
    TABLE,
    Effect,
    Event,
    Phase,
    event_of_refusal,
    renewal_after,
    retry_after,
)
from tocsin.protocol.errors import OperationCanceled, PushError, TimedOut, error_of
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages.calling import (
    CallPushRegistered,
    CallRefused,
    RegisterForCallPush,
    UnregisterFromCallPush,
)

logger = logging.getLogger(__name__)

_DUE: Final = "registration"


@define(eq=False)
class _Wish:
    """What a task waits for that wants the registration otherwise."""

    settled: anyio.Event = field(factory=anyio.Event)
    error: PushError | None = None


class PushRegistrar:
    """Drives the registration of one device through its state machine.

    :param ttl: seconds to be registered for each time.
    :param fraction: random, from 0 to 1.
    """

    def __init__(self, questions: OpenQuestions, alarms: Alarms, ttl: float, fraction: Callable[[], float]) -> None:
        self._questions = questions
        self._alarms = alarms
        self._ttl = ttl
        self._fraction = fraction
        self._uri = ""
        self._every_device = False
        self._asked: Question | None = None
        """The last question: only its answer counts."""
        self._granted = 0.0
        self._failures = 0
        self._failure: PushError | None = None
        self._has_said_failure = False
        self._wishes: list[_Wish] = []
        self.phase = Phase.UNREGISTERED
        self._perform: dict[Effect, Callable[[], None]] = {
            Effect.SEND_REGISTER: self._send_register,
            Effect.SEND_UNREGISTER: self._send_unregister,
            Effect.ARM_RENEWAL: self._arm_renewal,
            Effect.ARM_RETRY: self._arm_retry,
            Effect.DISARM: partial(self._alarms.clear, _DUE),
            Effect.TELL_DONE: partial(self._tell, None),
            Effect.TELL_FAILED: self._tell_failed,
            Effect.TELL_CANCELED: self._tell_canceled,
        }

    async def register(self, uri: str) -> None:
        """Register a channel, and wait for the service's word.

        :raises PushError: the service would not, for the reason that it gave.
        :raises OperationCanceled: another wish has taken the place of this one.
        :raises TimedOut: there was no answer within 30 s.
        """
        self._uri = uri
        await self._wish(Event.REGISTER)

    async def unregister(self, *, every_device: bool) -> None:
        """Give the registration up, and wait for the service's word; errors as of :meth:`register`."""
        self._every_device = every_device or (self._every_device and self.phase in {Phase.LEAVING, Phase.UNREGISTERING})
        await self._wish(Event.UNREGISTER)

    def connected(self) -> None:
        """There is a connection."""
        self._happen(Event.CONNECTED)

    def lost(self) -> None:
        """There is none any more."""
        self._asked = None
        self._happen(Event.LOST)

    def give_up(self, error: PushError) -> None:
        """Let those that wait know that there will be no answer."""
        self._tell(error)

    async def _wish(self, event: Event) -> None:
        self._happen(event if self._questions.is_connected else OFFLINE[event])
        wish = _Wish()
        self._wishes.append(wish)
        try:
            with anyio.fail_after(ASK_TIMEOUT):
                await wish.settled.wait()
        except TimeoutError:
            raise TimedOut(f"the calling service did not answer within {ASK_TIMEOUT:g} s; it may yet do it") from None
        finally:
            if wish in self._wishes:
                self._wishes.remove(wish)
        if wish.error is not None:
            raise wish.error

    def _happen(self, event: Event) -> None:
        self.phase, effects = step(TABLE, self.phase, event)
        for effect in effects:
            self._perform[effect]()

    def _send_register(self) -> None:
        self._ask(RegisterForCallPush(0, self._uri, self._ttl))

    def _send_unregister(self) -> None:
        self._ask(UnregisterFromCallPush(0, self._every_device))

    def _ask(self, message: RegisterForCallPush | UnregisterFromCallPush) -> None:
        question: Question | None = None

        def answered(answer: AnyAnswer) -> None:
            if question is self._asked:
                self._answered(answer)

        question = self._asked = self._questions.ask(message, answered)

    def _answered(self, answer: AnyAnswer) -> None:
        if isinstance(answer, CallRefused):
            self._failure = error_of(answer.error, answer.text, answer.hresult)
            self._happen(event_of_refusal(answer.error))
            return
        if isinstance(answer, CallPushRegistered):
            self._granted = answer.ttl
        self._failures, self._has_said_failure = 0, False
        self._happen(Event.CONFIRMED)

    def _arm_renewal(self) -> None:
        self._alarms.set_in(_DUE, renewal_after(self._granted), partial(self._happen, Event.DUE))

    def _arm_retry(self) -> None:
        self._failures += 1
        wait = retry_after(self._failures, self._fraction())
        self._alarms.set_in(_DUE, wait, partial(self._happen, Event.DUE))

    def _tell(self, error: PushError | None) -> None:
        wishes, self._wishes = self._wishes, []
        for wish in wishes:
            wish.error = error
            wish.settled.set()

    def _tell_failed(self) -> None:
        if not self._wishes and not self._has_said_failure:
            self._has_said_failure = True
            logger.warning("the registration for pushes about calls was not renewed: %s", self._failure)
        self._tell(self._failure)

    def _tell_canceled(self) -> None:
        self._tell(OperationCanceled("another call has changed the registration for pushes before this one was done"))
