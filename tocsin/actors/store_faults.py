"""What a store that cannot be written means for the platform: the service waits, and a stop does not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from tocsin.mailbox import Mailbox
from tocsin.protocol.messages import Suspended

logger = logging.getLogger(__name__)


class StoreFaults:
    """Keeps why nothing can be stored just now, and tells the service to wait until it can be again."""

    def __init__(self, connection: Mailbox) -> None:
        self.fault: str | None = None
        """Why nothing can be stored; None while all is well."""
        self._connection = connection
        self._stop: anyio.CancelScope | None = None

    def note(self, fault: str | None) -> None:
        """Note why nothing can be stored, or None when it can be again; the service learns that it is so."""
        self.fault = fault
        self._connection.send_state(Suspended(suspended=fault is not None))
        self._end_stop()

    def greet(self) -> None:
        """Tell the service of a new connection, unless all is well."""
        if self.fault is not None:
            self._connection.send_state(Suspended(suspended=True))

    @contextmanager
    def bounding_stop(self) -> Iterator[None]:
        """End the block, an orderly stop, where nothing can be stored: what an actor waits for would not come."""
        with anyio.CancelScope() as self._stop:
            self._end_stop()
            yield

    def _end_stop(self) -> None:
        if self._stop is not None and self.fault is not None and not self._stop.cancel_called:
            logger.warning("stopped without what could not be stored, which comes again: %s", self.fault)
            self._stop.cancel()
