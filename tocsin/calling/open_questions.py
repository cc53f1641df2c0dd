"""What an agent has asked its calling service, by number, until the answers come or the connection is lost."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Final, TypeVar

import anyio
from attrs import define, evolve, field

from tocsin.protocol.errors import PlatformUnavailable, PushError, TimedOut, error_of
from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.calling import (
    AcceptCall,
    AttendCall,
    CallDone,
    CallGoodbye,
    CallPushRegistered,
    CallReady,
    CallRefused,
    CallReport,
    HangUpCall,
    RegisterForCallPush,
    RejectCall,
    RenewCallToken,
    SetCallMedia,
    StartCall,
    UnregisterFromCallPush,
)

ASK_TIMEOUT: Final = 30.0
"""Seconds within which the service must answer."""

AnyQuestion = (
    AcceptCall
    | AttendCall
    | CallGoodbye
    | CallReady
    | HangUpCall
    | RegisterForCallPush
    | RejectCall
    | RenewCallToken
    | SetCallMedia
    | StartCall
    | UnregisterFromCallPush
)
"""What an agent may ask; its ``request`` is 0 until it has a number."""

AnyAnswer = CallReport | CallPushRegistered | CallDone | CallRefused

A = TypeVar("A", CallReport, CallPushRegistered, CallDone)


@define(eq=False)
class Question:
    """One question; it is settled when there is an answer, or when none will come."""

    message: AnyQuestion
    then: Callable[[AnyAnswer], None] | None = field(default=None, repr=False)
    answer: AnyAnswer | None = None
    settled: anyio.Event = field(factory=anyio.Event, repr=False)

    @property
    def is_lost(self) -> bool:
        """Whether no answer will come: there is no connection, or it was lost."""
        return self.settled.is_set() and self.answer is None

    @property
    def refusal(self) -> PushError | None:
        """The error that the service has answered with."""
        answer = self.answer
        return error_of(answer.error, answer.text, answer.hresult) if isinstance(answer, CallRefused) else None

    def settle(self, answer: AnyAnswer | None) -> None:
        """Take the answer; None: there will be none."""
        self.answer = answer
        self.settled.set()
        if self.then is not None and answer is not None:
            self.then(answer)

    async def wait_for(self, kind: type[A]) -> A:
        """Return the answer.

        :raises PushError: the service would not do it, for the reason that it gave.
        :raises TimedOut: there was no answer within ``ASK_TIMEOUT``.
        :raises PlatformUnavailable: there is no connection, or it was lost before the answer came.
        """
        try:
            with anyio.fail_after(ASK_TIMEOUT):
                await self.settled.wait()
        except TimeoutError:
            raise TimedOut(
                f"the calling service did not answer within {ASK_TIMEOUT:g} s; it may yet do what was asked"
            ) from None
        if self.answer is None:
            raise PlatformUnavailable("the connection to the calling service was lost before it answered")
        if self.refusal is not None:
            raise self.refusal
        assert isinstance(self.answer, kind)  # noqa: S101  # OpenQuestions lets no other through
        return self.answer


_ANSWERS: Final[dict[type[AnyQuestion], type[AnyAnswer]]] = {
    CallGoodbye: CallDone,
    RenewCallToken: CallDone,
    RegisterForCallPush: CallPushRegistered,
    UnregisterFromCallPush: CallDone,
}


class OpenQuestions:
    """The questions on the connection that there is.

    :param send: takes what is to go to the service.
    """

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._numbers = count(1)
        self._open: dict[int, Question] = {}
        self.is_connected = False
        """Whether there is a connection: without one, every question is lost at once."""

    def ask(self, message: AnyQuestion, then: Callable[[AnyAnswer], None] | None = None) -> Question:
        """Number a question and send it; the question returned has the message as it was given.

        :param then: called with the answer at the moment at which it comes, also where nothing waits for it any more.
        """
        question = Question(message, then)
        if not self.is_connected:
            question.settle(None)
            return question
        number = next(self._numbers)
        self._open[number] = question
        self._send(evolve(message, request=number))
        return question

    def take(self, answer: AnyAnswer) -> Question | None:
        """Return the question that an answer is to, which it then settles; None where there is none to which it can be."""
        question = self._open.get(answer.request)
        if question is None:
            return None
        wanted = _ANSWERS.get(type(question.message), CallReport)
        if not isinstance(answer, wanted | CallRefused):
            return None
        del self._open[answer.request]
        return question

    def lose(self) -> None:
        """Settle all that are open, as the connection is lost."""
        lost, self._open = self._open, {}
        self.is_connected = False
        for question in lost.values():
            question.settle(None)
