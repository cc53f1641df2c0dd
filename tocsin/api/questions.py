"""The questions of an app to its platform, by number, until their answers come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Protocol, TypeVar

import anyio

from tocsin.protocol import errors
from tocsin.protocol import messages as m
from tocsin.protocol.hresult import HResult
from tocsin.protocol.values import PushNotificationChannelStatus as Status

ASK_TIMEOUT = 30.0
"""Seconds within which the platform must answer a question."""

MAX_LISTENERS = 1024
"""Operations that may be under way at once: each is owed answers, for which a mailbox has to have room."""


Answer = m.Done | m.Failed | m.ToastShown | m.ToastUpdated | m.ToastList | m.TileList | m.UsageFound
"""What ends a question."""

A = TypeVar("A", m.ToastShown, m.ToastUpdated, m.ToastList, m.TileList, m.UsageFound)


class Listener(Protocol):
    """An operation that waits for more than one answer."""

    def receive(self, message: m.Message) -> None:
        """Take the next answer."""
        ...

    def resume(self) -> None:
        """Ask again, since the actor that was asked has restarted."""
        ...


class Questions:
    """The tasks that wait for answers, and what is to be done when those come."""

    def __init__(self, post: Callable[[m.Message], Awaitable[None]]) -> None:
        self._post = post
        self._numbers = count(1)
        self._answers: dict[int, Answer] = {}
        self._waiting: dict[int, anyio.Event] = {}
        self._asked: set[int] = set()
        """Those of which the platform may have heard; the others wait for an agent, or for room."""
        self._when_done: dict[int, Callable[[], None]] = {}
        self._listeners: dict[int, Listener] = {}

    def number(self) -> int:
        """Return a number for the next question."""
        return next(self._numbers)

    async def ask(self, question: m.Message, number: int, then: Callable[[], None] | None = None) -> Answer:
        """Ask, and wait until it is done; ``then`` is called at that moment, even if the caller was cancelled.

        It returns the answer, which says more than that it is done where it is no ``Done``.

        :raises PushError: the platform could not do it, for the reason that it gave.
        :raises TimedOut: there was no answer within ``ASK_TIMEOUT``.
        :raises PlatformUnavailable: the platform could not be asked within that time, or has gone without an answer.
        """
        answered = self._waiting[number] = anyio.Event()
        try:
            with anyio.fail_after(ASK_TIMEOUT):
                await self._post(question)
                self._asked.add(number)
                if then is not None:
                    self._when_done[number] = then
                await answered.wait()
        except TimeoutError:
            if number not in self._asked:
                text = f"no agent was there for {ASK_TIMEOUT:g} s, or none that had room: nothing was asked of it"
                raise errors.PlatformUnavailable(text) from None
            raise errors.TimedOut(f"the platform did not answer within {ASK_TIMEOUT:g} s; it may yet do it") from None
        finally:
            del self._waiting[number]
            self._asked.discard(number)
        answer = self._answers.pop(number)
        if isinstance(answer, m.Failed):
            raise errors.error_of(answer.error, answer.text, answer.hresult)
        return answer

    async def ask_for(self, kind: type[A], question: m.Message, number: int) -> A:
        """Ask for what an answer says, as :meth:`ask`.

        :raises ProtocolViolation: the platform has answered something else.
        """
        answer = await self.ask(question, number)
        if not isinstance(answer, kind):
            raise errors.ProtocolViolation(f"{type(answer).__name__} is no answer to {type(question).__name__}")
        return answer

    def answered(self, message: Answer) -> None:
        """Hand an answer to the task that waits for it."""
        waiting = self._waiting.get(message.request)
        then = self._when_done.pop(message.request, None)
        if then is not None and isinstance(message, m.Done):
            then()  # also where the caller was cancelled: the platform has done it, and goes by it
        if waiting is not None:
            self._answers[message.request] = message
            waiting.set()

    def fail_asked(self, text: str) -> None:
        """Let the questions fail of which the platform may have heard, and which it will not answer any more."""
        for number in list(self._asked):
            self.answered(m.Failed(number, "PlatformUnavailable", text, HResult.WPN_E_PLATFORM_UNAVAILABLE))

    def dismiss(self, text: str) -> None:
        """Let all questions fail, and the operations that listen come to their end: there is no platform any more."""
        self.fail_asked(text)
        for number in list(self._listeners):
            unavailable = HResult.WPN_E_PLATFORM_UNAVAILABLE
            self.listened(m.CreateChannelDone(number, Status.COMPLETED_FAILURE, unavailable, text, "", "", 0.0))

    def listen(self, number: int, listener: Listener, *, owed: bool) -> None:
        """Give all answers with that number to the listener; one that is ``owed`` always finds room.

        :raises Busy: there are ``MAX_LISTENERS``.
        """
        if len(self._listeners) >= MAX_LISTENERS and not owed:
            raise errors.Busy(f"{MAX_LISTENERS} channel requests are under way: wait for one of them, or cancel it")
        self._listeners[number] = listener

    def unlisten(self, number: int) -> None:
        """Give no more answers to that listener."""
        self._listeners.pop(number, None)

    def listened(self, message: m.CreateChannelProgress | m.CreateChannelDone) -> None:
        """Take an answer to its listener."""
        listener = self._listeners.get(message.request)
        if listener is not None:
            listener.receive(message)

    def resume(self) -> None:
        """Let every listener ask again."""
        for listener in list(self._listeners.values()):
            listener.resume()
