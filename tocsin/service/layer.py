"""What may stand around the service, to see or to answer what it is asked: faults on demand, for tests."""

from __future__ import annotations

from starlette.types import ASGIApp

from tocsin.service.web.exchanges import OpenExchange
from tocsin.service.web.websocket import OpenWebSocket


class Layer:
    """Stands around the service, and changes nothing; a subclass does."""

    def around_channels(self, open_exchange: OpenExchange) -> OpenExchange:
        """Stand before what answers the requests to channels, and is asked nothing where something else answers."""
        return open_exchange

    def around_others(self, app: ASGIApp) -> ASGIApp:
        """Stand before what answers all other requests."""
        return app

    def around_devices(self, opening: OpenWebSocket) -> OpenWebSocket:
        """Stand before what takes the devices' WebSockets."""
        return opening
