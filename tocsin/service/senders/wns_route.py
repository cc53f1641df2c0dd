"""The channel route, where senders post their notifications: the hot path, hence directly on the connection, without ASGI."""

from __future__ import annotations

import asyncio

from tocsin.followers import Followers
from tocsin.service.devices.devices import Devices
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.senders.dispatch import Dispatcher
from tocsin.service.senders.judged_heads import JudgedHeads
from tocsin.service.senders.request_ids import RequestIds
from tocsin.service.senders.wns_exchange import WnsContext, WnsExchange
from tocsin.service.url_paths import CHANNEL_PATH
from tocsin.service.web.bodies import Bodies
from tocsin.service.web.exchanges import Request

_PLAIN = CHANNEL_PATH.encode() + b"?"


class WnsRoute:
    """The route; all requests to it share its parts."""

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        dispatcher: Dispatcher,
        devices: Devices,
        bodies: Bodies,
        limits: Limits,
        counters: Counters,
        followers: Followers,
    ) -> None:
        clock = asyncio.get_running_loop().time
        self._around = WnsContext(
            *(dispatcher, devices, bodies, limits, counters, followers),
            *(JudgedHeads(), RequestIds(clock), clock),
        )

    def open_exchange(self, request: Request) -> WnsExchange:
        """Begin to answer a request."""
        target = request.target
        if target.startswith(_PLAIN) and b"#" not in target:  # as the service itself writes channel URIs
            path, query = CHANNEL_PATH, target[len(_PLAIN) :]
        else:
            path, _, query = request.location()
        exchange = WnsExchange(self._around, request)
        exchange.begin(path, query)
        return exchange
