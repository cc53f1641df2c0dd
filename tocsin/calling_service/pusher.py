"""The promise of what rings a device by pushes: a raw notification to the channel that the device has registered."""

from __future__ import annotations

from math import ceil
from typing import Final, Protocol

from tocsin.protocol.calling.switchboard_rows import Pushed
from tocsin.protocol.sending.attempts import SendPolicy
from tocsin.protocol.service.wns import MAX_TTL

ONE_ATTEMPT: Final = SendPolicy(retries=0, total=10.0)
"""A push is tried once, within 10 s: who has it made knows whether it still rings, and makes it again."""

HIGH_PRIORITY: Final = 1
"""What ``X-WNS-PRIORITY`` says of a call: it is not to wait until the battery is charged."""


class Pusher(Protocol):
    """Pushes to channels. Where a calling service has None in its place, it rings endpoints that are connected, and no others."""

    def check(self, uri: str) -> None:
        """Refuse the URI of a channel that a push would never be made to, before a device is registered with it.

        :raises InvalidArgument: it is no URI, or leads to a host that is not trusted here; the sentence does not show it.
        """
        ...

    async def push(self, uri: str, body: bytes, ttl: float) -> Pushed:
        """Make one attempt to push, and tell what it has come to; what has failed is logged once, and never with the URI.

        A push that the push service refuses, and would refuse again, is ``DROPPED``, too.

        :param body: up to 5,000 bytes.
        :param ttl: seconds after which it is of no use; it is kept that long for a device that is away.
        """
        ...


def whole_seconds(ttl: float) -> int:
    """Return how many seconds ``X-WNS-TTL`` says: 1 at least, since 0 contradicts the cache policy."""
    return min(max(ceil(ttl), 1), MAX_TTL)
