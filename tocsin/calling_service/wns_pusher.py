"""Ringing by pushes through a push service that speaks WNS, as any sender does."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tocsin.calling_service.pusher import HIGH_PRIORITY, ONE_ATTEMPT, whole_seconds
from tocsin.client.wns_client import WnsClient
from tocsin.protocol.calling.switchboard_rows import Pushed
from tocsin.protocol.errors import ChannelGone, InvalidArgument, NotificationRefused, SendFailed
from tocsin.protocol.values import NotificationStatus
from tocsin.repeat_log import RepeatLog

logger = logging.getLogger(__name__)


class WnsPusher:
    """Pushes with a client that stays open; made by :func:`open_wns_pusher`."""

    def __init__(self, client: WnsClient, recurring: RepeatLog) -> None:
        self._client = client
        self._recurring = recurring

    def check(self, uri: str) -> None:
        """Refuse the URI of a channel whose host is not one of those that the client's token URL goes with.

        :raises InvalidArgument: as the promise says.
        """
        self._client.check_uri(uri)

    async def push(self, uri: str, body: bytes, ttl: float) -> Pushed:
        """Make one attempt to push, as the promise says."""
        try:
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


@asynccontextmanager
async def open_wns_pusher(
    client_id: str,
    client_secret: str,
    *,
    token_url: str | None = None,
    hosts: Sequence[str] | None = None,
    recurring: RepeatLog,
) -> AsyncIterator[WnsPusher]:
    """Open the client of a sender, and close its connections when the block is left.

    :param token_url: and ``hosts``: as :class:`tocsin.WnsClient` takes them.
    :param recurring: what is said once of what fails again and again.
    :raises InvalidArgument: an argument cannot be right.
    :raises NotSupported: there is no HTTP client, and the text says what to install; or the event loop is trio's.
    """
    client = WnsClient(client_id, client_secret, token_url=token_url, hosts=hosts, policy=ONE_ATTEMPT)
    async with client:
        yield WnsPusher(client, recurring)
