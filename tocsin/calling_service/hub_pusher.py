"""Ringing by pushes through a notification hub: each goes to the channel that it names, which the hub need not have registered."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote

from tocsin.calling_service.pusher import HIGH_PRIORITY, ONE_ATTEMPT, whole_seconds
from tocsin.client.http_opening import http_client
from tocsin.client.hub_requests import HubRequests
from tocsin.protocol.calling.switchboard_rows import Pushed
from tocsin.protocol.errors import InvalidArgument, NotFound, PushError, SendFailed
from tocsin.protocol.hub.channel_uri import check_channel_uri
from tocsin.protocol.hub.connection_string import read_connection_string
from tocsin.protocol.hub.hub_name import check_hub_name
from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.repeat_log import RepeatLog

logger = logging.getLogger(__name__)

_HEADERS: Final = {
    "Content-Type": "application/octet-stream",
    "ServiceBusNotification-Format": "windows",
    "X-WNS-Type": "wns/raw",
    "X-WNS-Cache-Policy": "cache",
    "X-WNS-PRIORITY": str(HIGH_PRIORITY),
}
_DEVICE: Final = "ServiceBusNotification-DeviceHandle"


class HubPusher:
    """Pushes by direct messages of a hub, over connections that are kept; made by :func:`open_hub_pusher`.

    A hub accepts a message before it sends it, and tells only a later request what has become of it. So a push is ``ACCEPTED``
    where the hub has taken it, also where the device does not get it, and never ``GONE``: a registration whose channel has
    ended stays until its own end, or until its app registers another channel.
    """

    def __init__(self, hub: HubRequests, recurring: RepeatLog) -> None:
        self._hub = hub
        self._recurring = recurring

    def check(self, uri: str) -> None:
        """Refuse what is no URI of a channel; whether it is one of the hub's push service, the hub says at the first push.

        :raises InvalidArgument: as the promise says.
        """
        try:
            check_channel_uri(uri, "A channel's URI")
        except HubRefused as refused:
            raise InvalidArgument(refused.detail) from None

    async def push(self, uri: str, body: bytes, ttl: float) -> Pushed:
        """Make one attempt to push, as the promise says."""
        headers = {**_HEADERS, "X-WNS-TTL": str(whole_seconds(ttl)), _DEVICE: uri}
        try:
            self.check(uri)
            await self._hub.ask("POST", "/messages", query={"direct": "true"}, headers=headers, body=body)
        except InvalidArgument as refused:
            # It will be refused again.
            return self._failed(refused, Pushed.DROPPED)
        except (NotFound, SendFailed) as failure:
            return self._failed(failure, Pushed.FAILED)
        return Pushed.ACCEPTED

    def _failed(self, failure: PushError, pushed: Pushed) -> Pushed:
        status = failure.result.http_status if isinstance(failure, SendFailed) else None
        thing = f"{type(failure).__name__} {status}"
        self._recurring.log(
            logger, logging.WARNING, thing, "a device could not be rung by a push through a hub: %s", failure
        )
        return pushed


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
