"""The session's background work: what it has registered, and the handler that does it."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import takewhile
from operator import or_
from typing import Protocol

from attrs import evolve

from tocsin.api.subscription import PushHandler, Subscription
from tocsin.protocol import messages as m
from tocsin.protocol.platform.activator_registration import EACH


class AskPlatform(Protocol):
    """Asks the platform; ``then`` is called in the moment in which it answers that it is done."""

    async def __call__(self, question: m.Message, number: int, then: Callable[[], None] | None = None) -> object:
        """Ask, and wait until it is done."""
        ...


class BackgroundWork:
    """The activators of one session, and the subscription of its background work."""

    def __init__(self, ask: AskPlatform, start: Callable[[], Subscription]) -> None:
        self._ask = ask
        self._start = start
        self._registered: list[m.RegisterActivator] = []
        self.subscription: Subscription | None = None
        """What does the work; None while there is no handler for it."""

    async def register(self, question: m.RegisterActivator, handler: PushHandler | None) -> None:
        """Register activators of the app, with the handler that does its background work.

        :raises PushError: they cannot be registered; the handler from before stays.
        """

        def install() -> None:
            if handler is not None:
                self.subscription = self.subscription or self._start()
                self.subscription.replace(handler)
            self._registered.append(question)

        # The handler comes not before the registry has agreed, and not after: work may come right behind its answer.
        await self._ask(question, question.request, install)

    async def unregister(self, question: m.UnregisterActivators) -> None:
        """Unregister activators of the app.

        :raises NotFound: one of them is not registered by this process.
        """
        ours = reduce(or_, (each.activators for each in self._registered), 0)
        asked = [int(each) for each in EACH if question.every or question.activators & each]
        gone = sum(takewhile(lambda flag: question.every or ours & flag, asked))
        try:
            await self._ask(question, question.request)
        finally:  # those before one that was missing are gone all the same
            left = (evolve(each, activators=each.activators & ~gone) for each in self._registered)
            self._registered = [each for each in left if each.activators]

    def questions(self) -> list[m.RegisterActivator]:
        """Return what has to be said to a registry that has forgotten it."""
        return list(self._registered)
