"""The actor that all calls of a service go through, one event after the other: decide, write down, install, and then tell and push."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from tocsin.protocol.calling.switchboard_rows import Endpoint
from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.calling import CallHello, CallRefused


class Line(Protocol):
    """A connection, as the exchange sees it; neither method waits, and neither raises.

    One that cannot take what it is told in time closes itself.
    """

    @property
    def endpoint(self) -> Endpoint:
        """Whose it is."""

    def tell(self, message: Message) -> None:
        """Send a message behind all before."""

    def part(self, last_word: CallRefused) -> None:
        """Send a last message, and close."""


class Exchange:
    """Takes what connections ask."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while the block runs.

        :raises StateUnavailable: what was kept cannot be read.
        """
        raise NotImplementedError
        yield

    async def connect(self, line: Line, hello: CallHello) -> None:
        """Let an endpoint in, which its welcome was told to before; it is told how its calls stand, or parted with a word why not."""
        raise NotImplementedError

    async def ask(self, line: Line, question: Message) -> None:
        """Take a question of an endpoint: the answer has been told on its line when this returns, in order with all else.

        One at a time for each line. A line that another has displaced gets no answer.
        """
        raise NotImplementedError

    async def leave(self, line: Line) -> None:
        """A connection has ended."""
        raise NotImplementedError

    async def remove_user(self, user: str) -> None:
        """End a user's calls, registrations and connections.

        :raises StateUnavailable: it could not be written; nothing has changed.
        """
        raise NotImplementedError
