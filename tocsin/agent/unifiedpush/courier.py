"""Carries the pushes of one channel to its app, one after the other, and again until the app has taken them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import datetime

import anyio

from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.channel import PushNotificationChannel
from tocsin.protocol.errors import ChannelClosed, ProtocolViolation
from tocsin.protocol.unifiedpush.delivery import (
    READABLE,
    Delivery,
    end_of,
    is_missed,
    is_now_or_never,
    pause_after,
)
from tocsin.protocol.webpush.envelope import Envelope

Deliver = Callable[[bytes, str], Awaitable[Delivery]]
"""Carries a message with its id."""

logger = logging.getLogger(__name__)


class Courier:
    """The way of pushes to one app, over all of its channels.

    A push that is not taken goes back to the inbox of the platform, where it may expire, be replaced, and outlives this process.
    Nothing is carried meanwhile, so that the order stays. One that is for now or never becomes a dead letter instead.

    :param name: the app, for the log.
    :param may_go: waits until the app is running or can be started.
    :param now: tells the time of the device, in seconds since the epoch.
    """

    def __init__(
        self, name: str, deliver: Deliver, may_go: Callable[[], Awaitable[None]], now: Callable[[], float]
    ) -> None:
        self._name, self._deliver, self._may_go, self._now = name, deliver, may_go, now
        self._came = anyio.Event()
        self.failures = 0
        """How often in a row a push was not taken."""
        self.unreadable = 0
        """Pushes that were dropped since connectors cannot read them."""
        self.missed = 0
        """Pushes that were for now or never, and dropped since the app has not taken them."""

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
        since = anyio.current_time()
        async with aclosing(channel.payloads()) as payloads:
            async for args in payloads:
                match await self._carried(args, since):
                    case Delivery.ACKNOWLEDGED:
                        self.failures = 0
                    case Delivery.DROPPED:
                        args.handled = False  # which makes a dead letter of it
                        self._miss()
                    case _:
                        return  # it goes back

    async def _carried(self, args: PushNotificationReceivedEventArgs, since: float) -> Delivery:
        try:
            envelope = Envelope.unpack(args.payload)
        except ProtocolViolation:
            envelope = None
        if envelope is None or envelope.coding != READABLE:
            self._drop("" if envelope is None else envelope.coding)
            return Delivery.ACKNOWLEDGED
        now_or_never = is_now_or_never(_seconds(args.expires_at))
        age = self._now() - (_seconds(args.received_at) or 0.0)
        if now_or_never and is_missed(age, anyio.current_time() - since):
            return Delivery.DROPPED
        return end_of(await self._deliver(envelope.body, args.id), now_or_never=now_or_never)

    def _miss(self) -> None:
        self.missed += 1
        if self.missed == 1:
            words = "its TTL is 0, and the app was not there, has not taken it, or was too slow for it"
            logger.warning("a push to %s was dropped: %s", self._name, words)

    def _drop(self, coding: str) -> None:
        self.unreadable += 1
        if self.unreadable == 1:
            words = f"in the coding {coding!r}" if coding else "without a message"
            logger.warning("a push %s to %s was dropped: connectors read %s alone", words, self._name, READABLE)


def _seconds(moment: datetime | None) -> float | None:
    """Return a date in seconds since the epoch."""
    return None if moment is None else moment.timestamp()
