"""Reaches a calling service over WebSockets: the device's own, with another path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from tocsin.network import place_of
from tocsin.protocol.messages.calling import CALLING_PATH
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.sending.sign_in import split_service_url
from tocsin.transport.websocket_wire import dial_websocket
from tocsin.transport.wire import Wire, WireBroken


class WebSocketSignalling:
    """Opens WebSockets to a calling service; a proxy that the environment names is used, but never for the own machine.

    :param url: of the service, ``http://`` or ``https://``, with a path if it has one.
    :raises InvalidArgument: it is no such URL.
    """

    def __init__(self, url: str) -> None:
        parts = split_service_url(url, "a calling service")
        scheme = "wss" if parts.scheme == "https" else "ws"
        self._url = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{CALLING_PATH}"

    @property
    def place(self) -> str:
        """Host and port of the service, for people."""
        return place_of(self._url)

    def open(self) -> AbstractAsyncContextManager[Wire]:
        """Open a connection, closed when its block is left; it needs asyncio's event loop.

        :raises WireBroken: there is no connection to be had; the text says why.
        """
        return self._dialled()

    @asynccontextmanager
    async def _dialled(self) -> AsyncIterator[Wire]:
        opened = False
        try:
            async with dial_websocket(self._url) as wire:
                opened = True
                yield wire
        except WireBroken as broken:
            if opened or broken.cause is not ConnectionCause.NO_PUSH_SERVICE:
                raise
            raise WireBroken(  # the words of the wire name another service, and how an app names that
                f"there is no calling service at {self.place}: name the URL that 'tocsin calling serve' prints",
                broken.cause,
                broken.retry_after,
            ) from broken
