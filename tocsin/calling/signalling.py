"""What a client needs to reach its calling service: connections that carry frames."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from tocsin.transport.wire import Wire


class Signalling(Protocol):
    """Opens connections to one calling service."""

    @property
    def place(self) -> str:
        """Host and port of the service, for people; nothing of it is secret."""
        ...

    def open(self) -> AbstractAsyncContextManager[Wire]:
        """Open a connection, closed when its block is left; each chunk that it carries is one or more whole frames.

        :raises WireBroken: there is no connection to be had; the text says why.
        """
        ...
