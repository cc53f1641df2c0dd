"""Runs an app's handlers: the payloads of one channel one after the other, in order."""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.protocol.messages import Delivery, Returned
from tocsin.protocol.values import Outcome

logger = logging.getLogger(__name__)

PushHandler = Callable[[PushNotificationReceivedEventArgs], Awaitable[Any] | Any]
"""What an app attaches to a channel: sync or async; what it returns is not looked at."""


class Abandoned(Exception):
    """A handler gives its payload back: it waits for the next handler."""


class Receiver:
    """The handlers of one channel, and the payloads that wait for them; the router's window bounds their number."""

    def __init__(self, channel: str, report: Callable[[Returned], None]) -> None:
        self.channel = channel
        self.handlers: dict[int, PushHandler] = {}
        self._report = report
        self._waiting: deque[Delivery] = deque()
        self._arrived = anyio.Event()
        self._closing = False

    def offer(self, delivery: Delivery) -> None:
        """Take a payload; with nobody to handle it, it goes back at once."""
        if self._closing or not self.handlers:
            self._report(Returned(delivery.sequence, Outcome.RETURNED, ""))
        else:
            self._waiting.append(delivery)
            self._arrived.set()

    def give_back(self) -> None:
        """Return all payloads that no handler has begun with."""
        while self._waiting:
            self._report(Returned(self._waiting.popleft().sequence, Outcome.RETURNED, ""))

    def close(self) -> None:
        """Begin with no other payload; the handler that runs comes to its end."""
        self._closing = True
        self.give_back()
        self._arrived.set()

    async def run(self) -> None:
        """Handle payloads until closed; one that is cut off by cancellation is returned."""
        while not self._closing:
            while self._waiting:
                await self._handle(self._waiting.popleft())
            if not self._closing:
                self._arrived = anyio.Event()
                await self._arrived.wait()

    async def _handle(self, delivery: Delivery) -> None:
        outcome, detail = Outcome.RETURNED, ""
        try:
            outcome, detail = await self._call_handlers(PushNotificationReceivedEventArgs(delivery))
        finally:
            self._report(Returned(delivery.sequence, outcome, detail))

    async def _call_handlers(self, args: PushNotificationReceivedEventArgs) -> tuple[Outcome, str]:
        """Call every handler in the order of attachment, then read ``handled``."""
        failure = ""
        for handler in list(self.handlers.values()):
            try:
                result = handler(args)
                if inspect.isawaitable(result):
                    await result
            except Abandoned:
                return Outcome.RETURNED, ""
            except Exception as error:
                logger.exception("a handler of channel %s failed on payload %s", self.channel, args.id)
                failure = f"{type(error).__name__}: {error}"
        if args.handled:
            return Outcome.HANDLED, ""
        return (Outcome.HANDLER_FAILED, failure) if failure else (Outcome.NOT_HANDLED, "")
