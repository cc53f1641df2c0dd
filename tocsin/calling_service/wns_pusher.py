"""Ringing by pushes through a push service that speaks WNS, as any sender does."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tocsin.calling_service.pusher import HIGH_PRIORITY, ONE_ATTEMPT, whole_seconds
from tocsin.client.wns_client import WnsClient
from tocsin.protocol.calling.switchboard_rows import Pushed
from tocsin.protocol.errors import ChannelGone, InvalidArgument, NotificationRefused, SendFailed
from tocsin.protocol.sending.sign_in import WNS_DOMAIN, split_url, trusted_hosts
from tocsin.protocol.values import NotificationStatus
from tocsin.repeat_log import RepeatLog

logger = logging.getLogger(__name__)


class WnsPusher:
    """Pushes with a client that stays open; made by :func:`open_wns_pusher`."""

    def __init__(self, client: WnsClient, port: int | None, recurring: RepeatLog) -> None:
        self._client = client
        self._port = port
        self._recurring = recurring

    def check(self, uri: str) -> None:
        """Refuse the URI of a channel whose host is not trusted, or that leads to another port than the push service has.

        A device names it, and must not choose at which program of that host this service knocks.

        :raises InvalidArgument: as the promise says.
        """
        self._client.check_uri(uri)
        if self._port is not None and _port_of(uri) != self._port:
            raise InvalidArgument(f"the channel is none of the push service, which has the port {self._port}")

    async def push(self, uri: str, body: bytes, ttl: float) -> Pushed:
        """Make one attempt to push, as the promise says."""
        try:
            self.check(uri)
            result = await self._client.send(uri, body, ttl=whole_seconds(ttl), cache=True, priority=HIGH_PRIORITY)
        except ChannelGone:
            return Pushed.GONE
        except (InvalidArgument, NotificationRefused) as refused:
            # It will be refused again.
            return self._failed(refused, Pushed.DROPPED)
        except SendFailed as failure:
            return self._failed(failure, Pushed.FAILED)
        if result.received:
            return Pushed.ACCEPTED
        if result.status == NotificationStatus.DROPPED:
            return Pushed.DROPPED  # that an app or a user wants none is nothing to be told of
        self._log(str(result.status), result.explanation)
        return Pushed.FAILED

    def _failed(self, failure: SendFailed | InvalidArgument, pushed: Pushed) -> Pushed:
        status = failure.result.http_status if isinstance(failure, SendFailed) else None
        self._log(f"{type(failure).__name__} {status}", str(failure))
        return pushed

    def _log(self, thing: str, words: str) -> None:
        self._recurring.log(logger, logging.WARNING, thing, "a device could not be rung by a push: %s", words)


def _port_of(url: str) -> int:
    parts = split_url(url, "a URL")
    return parts.port or (443 if parts.scheme == "https" else 80)


@asynccontextmanager
async def open_wns_pusher(
    client_id: str,
    client_secret: str,
    *,
    token_url: str,
    hosts: Sequence[str] | None = None,
    recurring: RepeatLog,
) -> AsyncIterator[WnsPusher]:
    """Open the client of a sender, and close its connections when the block is left.

    :param token_url: where tokens come from: the push service's, or Microsoft's for channels of WNS.
    :param hosts: the hosts that channels may have, at any port; by default that of the token URL at its port, and for
        Microsoft's those of WNS.
    :param recurring: what is said once of what fails again and again.
    :raises InvalidArgument: an argument cannot be right.
    :raises NotSupported: there is no HTTP client, and the text says what to install; or the event loop is trio's.
    """
    port = None if hosts is not None or trusted_hosts(token_url) == (WNS_DOMAIN,) else _port_of(token_url)
    client = WnsClient(client_id, client_secret, token_url=token_url, hosts=hosts, policy=ONE_ATTEMPT)
    async with client:
        yield WnsPusher(client, port, recurring)
