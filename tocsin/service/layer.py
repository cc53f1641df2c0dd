"""What may stand around the service, to see or to answer what it is asked: faults on demand, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

from starlette.types import ASGIApp

from tocsin.protocol.errors import StateUnavailable
from tocsin.service.web.exchanges import OpenExchange
from tocsin.service.web.websocket import OpenWebSocket

DEVELOPMENT_FILE: Final = "development.json"
"""What is in the state folder of a service for development, with credentials that everyone knows."""


class Layer:
    """Stands around the service, and changes nothing; a subclass does."""

    is_for_development: ClassVar[bool] = False
    """Whether the service may be opened where credentials that everyone knows are good."""

    def check_folder(self, state: Path) -> None:
        """Refuse a state folder of a service for development, unless this is one.

        :raises StateUnavailable: it is that.
        """
        if not self.is_for_development and (state / DEVELOPMENT_FILE).exists():
            raise StateUnavailable(
                f"the state folder {state} is that of 'tocsin serve --dev', whose credentials everyone knows;"
                " give another --state"
            )

    def around_channels(self, open_exchange: OpenExchange) -> OpenExchange:
        """Stand before what answers the requests to channels, and is asked nothing where something else answers."""
        return open_exchange

    def around_others(self, app: ASGIApp) -> ASGIApp:
        """Stand before what answers all other requests."""
        return app

    def around_devices(self, opening: OpenWebSocket) -> OpenWebSocket:
        """Stand before what takes the devices' WebSockets."""
        return opening
