"""What sending and registering need of HTTP: one request, and its status, headers and body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from attrs import field, frozen

from tocsin.protocol.network.causes import LASTING, ConnectionCause

MAX_REPLY: Final = 64 * 1024
"""Bytes of an answer to a push at most; what is longer is no answer of a push service."""


class Unreachable(Exception):
    """There was no answer; the text says why, and shows no URL.

    :param cause: why, where that is one of the causes that are known.
    """

    def __init__(self, text: str, cause: ConnectionCause | None = None) -> None:
        super().__init__(text)
        self.cause = cause

    @property
    def lasting(self) -> bool:
        """Whether another attempt can only bring the same, until a person has mended the cause."""
        return self.cause in LASTING


@frozen
class Reply:
    """An answer; header names are lower-cased."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Http(Protocol):
    """A client that asks in turn, such as that of ``tocsin.client.aio``."""

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        on_turn: Callable[[], None] | None = None,
    ) -> Reply:
        """Ask and return the answer, whatever its status.

        :param on_turn: called when it has waited in line: before that nothing of it was sent.
        :raises Unreachable: there was none.
        """
        ...


class AnyHttp(Protocol):
    """A client of which the turn does not matter."""

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Ask and return the answer, whatever its status.

        :raises Unreachable: there was none.
        """
        ...
