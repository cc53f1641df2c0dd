"""Ringing by pushes through a notification hub: each goes to the channel that it names, which the hub need not have registered."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

import anyio

from tocsin.calling_service.pusher import HIGH_PRIORITY, ONE_ATTEMPT, whole_seconds
from tocsin.client.http_opening import http_client
from tocsin.client.hub_requests import HubRequests, id_in
from tocsin.protocol.calling.switchboard_rows import Pushed
from tocsin.protocol.errors import InvalidArgument, NotFound, PushError, SendFailed, ServiceUnavailable, Throttled
from tocsin.protocol.hub.channel_uri import check_channel_uri
from tocsin.protocol.hub.connection_string import read_connection_string
from tocsin.protocol.hub.hub_name import check_hub_name
from tocsin.protocol.hub.hub_outcomes import HubOutcome
from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.message_life import Phase, state_of
from tocsin.protocol.hub.outcome_answer import MessageStanding, read_outcome_answer
from tocsin.repeat_log import RepeatLog

logger = logging.getLogger(__name__)

FIRST_LOOK: Final = 0.1
"""Seconds until a hub is asked for the first time what has become of a push."""

LAST_LOOK: Final = 10.0
"""Seconds until it is asked no more."""

_HEADERS: Final = {
    "Content-Type": "application/octet-stream",
    "ServiceBusNotification-Format": "windows",
    "X-WNS-Type": "wns/raw",
    "X-WNS-Cache-Policy": "cache",
    "X-WNS-PRIORITY": str(HIGH_PRIORITY),
}
_DEVICE: Final = "ServiceBusNotification-DeviceHandle"
_COMPLETED: Final = state_of(Phase.COMPLETED)
_COMES_TO: Final = {
    HubOutcome.SUCCESS: Pushed.ACCEPTED,
    HubOutcome.EXPIRED_CHANNEL: Pushed.GONE,
    HubOutcome.BAD_CHANNEL: Pushed.GONE,
    HubOutcome.DROPPED: Pushed.DROPPED,
    # These come again with each push.
    HubOutcome.WRONG_CHANNEL: Pushed.DROPPED,
    HubOutcome.TOO_LARGE: Pushed.DROPPED,
    HubOutcome.WRONG_PAYLOAD: Pushed.DROPPED,
}
"""What outcomes mean; any other, such as ``PnsUnavailable`` or Azure's ``Throttled``, may be better the next time."""
_TO_MEND: Final = {HubOutcome.WRONG_CHANNEL, HubOutcome.TOO_LARGE, HubOutcome.WRONG_PAYLOAD}
"""What the operator has to mend; that an app or a user wants none is nothing to be told of."""


class HubPusher:
    """Pushes by direct messages of a hub, over connections that are kept; made by :func:`open_hub_pusher`.

    A hub accepts a message before it sends it, so the pusher asks what has become of it: after 0.1 s, and then after twice as
    long each time, until the hub knows or 10 s have passed. A push takes as long as that. It is ``ACCEPTED`` where the hub
    does not know by then, and where it does not tell: Azure's tells only in the Standard tier. There, a registration whose
    channel has ended stays until its own end, or until its app registers another channel.
    """

    def __init__(self, hub: HubRequests, recurring: RepeatLog) -> None:
        self._hub = hub
        self._recurring = recurring

    def check(self, uri: str) -> None:
        """Refuse what is no URI of a channel; whether it is one of the hub's push service, the hub says at the first push.

        :raises InvalidArgument: as the promise says.
        """
        try:
            check_channel_uri(uri, "What is to be registered")
        except HubRefused as refused:
            raise InvalidArgument(refused.detail) from None

    async def push(self, uri: str, body: bytes, ttl: float) -> Pushed:
        """Make one attempt to push, as the promise says."""
        headers = {**_HEADERS, "X-WNS-TTL": str(whole_seconds(ttl)), _DEVICE: uri}
        try:
            self.check(uri)
            reply = await self._hub.ask("POST", "/messages", query={"direct": "true"}, headers=headers, body=body)
        except InvalidArgument as refused:
            # It will be refused again.
            return self._failed(refused, Pushed.DROPPED)
        except (NotFound, SendFailed) as failure:
            return self._failed(failure, Pushed.FAILED)
        return await self._outcome(id_in(reply.headers.get("location", "")))

    async def _outcome(self, message: str | None) -> Pushed:
        """Wait for what becomes of a message that the hub has taken."""
        if message is None:
            return self._untold("it gives its message no id")
        wait = FIRST_LOOK
        with anyio.move_on_after(LAST_LOOK):
            while True:
                await anyio.sleep(wait)
                pushed = await self._look(message)
                if pushed is not None:
                    return pushed
                wait *= 2
        return Pushed.ACCEPTED

    async def _look(self, message: str) -> Pushed | None:
        """Ask once what has become of a message; None: that is not known yet."""
        try:
            reply = await self._hub.ask("GET", f"/messages/{quote(message, safe='')}")
            standing = read_outcome_answer(reply.body)
        except (ServiceUnavailable, Throttled) as failure:
            logger.info("a hub could not be asked what has become of a push, and may be soon: %s", failure)
            return None
        except PushError as failure:
            return self._untold(str(failure))
        if standing == MessageStanding(_COMPLETED):
            return self._untold("it tells no outcome of a message that is complete")
        pushed = _meaning(standing)
        if pushed is Pushed.FAILED or standing.counts.keys() & _TO_MEND:
            words = ", ".join([standing.state, *standing.counts])
            self._log(words, f"the hub says {words}")
        return pushed

    def _untold(self, why: str) -> Pushed:
        self._recurring.log(
            logger,
            logging.WARNING,
            "untold",
            "a hub does not tell what becomes of pushes, so registrations whose channels have ended stay: %s",
            why,
        )
        return Pushed.ACCEPTED

    def _failed(self, failure: PushError, pushed: Pushed) -> Pushed:
        status = failure.result.http_status if isinstance(failure, SendFailed) else None
        self._log(f"{type(failure).__name__} {status}", str(failure))
        return pushed

    def _log(self, thing: str, words: str) -> None:
        self._recurring.log(
            logger, logging.WARNING, thing, "a device could not be rung by a push through a hub: %s", words
        )


def _meaning(standing: MessageStanding) -> Pushed | None:
    """Return what a message to one device has come to; None: that is not known yet."""
    if standing.counts:
        return next((pushed for name, pushed in _COMES_TO.items() if name in standing.counts), Pushed.FAILED)
    return Pushed.FAILED if standing.ended else None


@asynccontextmanager
async def open_hub_pusher(name: str, connection_string: str, *, recurring: RepeatLog) -> AsyncIterator[HubPusher]:
    """Open connections to a hub, and close them when the block is left.

    :param name: the hub's name.
    :param connection_string: the one for sending; the key in it is shown nowhere.
    :param recurring: what is said once of what fails again and again.
    :raises InvalidArgument: an argument cannot be right.
    :raises NotSupported: there is no HTTP client, and the text says what to install; or the event loop is trio's.
    """
    check_hub_name(name)
    connection = read_connection_string(connection_string)
    async with http_client() as http:
        yield HubPusher(HubRequests(http, quote(name, safe=""), connection, ONE_ATTEMPT), recurring)
