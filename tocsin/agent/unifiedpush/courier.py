"""Carries the pushes of one channel to its app, one after the other, and again until the app has taken them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import anyio

from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.channel import PushNotificationChannel
from tocsin.protocol.errors import ChannelClosed, ProtocolViolation
from tocsin.protocol.unifiedpush.delivery import READABLE, Delivery, pause_after
from tocsin.protocol.webpush.envelope import Envelope

Deliver = Callable[[bytes, str], Awaitable[Delivery]]
"""Carries a message with its id."""

logger = logging.getLogger(__name__)


class Courier:
    """The way of pushes to one app, over all of its channels.

    A push that is not taken goes back to the inbox of the platform, where it may expire, be replaced, and outlives this process.
    Nothing is carried meanwhile, so that the order stays.

    :param name: the app, for the log.
    :param may_go: waits until the app is running or can be started.
    """

    def __init__(self, name: str, deliver: Deliver, may_go: Callable[[], Awaitable[None]]) -> None:
        self._name, self._deliver, self._may_go = name, deliver, may_go
        self._came = anyio.Event()
        self.failures = 0
        """How often in a row a push was not taken."""
        self.unreadable = 0
        """Pushes that were dropped since connectors cannot read them."""

    def app_came(self) -> None:
        """Try again at once what was not taken: the app has just been started."""
        self._came.set()

    async def carry(self, channel: PushNotificationChannel) -> None:
        """Carry what comes by a channel, until that is closed."""
        while True:
            await self._may_go()
            self._came = anyio.Event()
            try:
                await self._carry_while_taken(channel)
            except ChannelClosed:
                return
            self.failures += 1
            with anyio.move_on_after(pause_after(self.failures)):
                await self._came.wait()

    async def _carry_while_taken(self, channel: PushNotificationChannel) -> None:
        async with aclosing(channel.payloads()) as payloads:
            async for args in payloads:
                if await self._carried(args) is not Delivery.ACKNOWLEDGED:
                    return  # it goes back
                self.failures = 0

    async def _carried(self, args: PushNotificationReceivedEventArgs) -> Delivery:
        try:
            envelope = Envelope.unpack(args.payload)
        except ProtocolViolation:
            envelope = None
        if envelope is None or envelope.coding != READABLE:
            self._drop("" if envelope is None else envelope.coding)
            return Delivery.ACKNOWLEDGED
        return await self._deliver(envelope.body, args.id)

    def _drop(self, coding: str) -> None:
        self.unreadable += 1
        if self.unreadable == 1:
            words = f"in the coding {coding!r}" if coding else "without a message"
            logger.warning("a push %s to %s was dropped: connectors read %s alone", words, self._name, READABLE)
