"""The access tokens of one sender: fetched once however many wait for it, kept until a little before they expire."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio

from tocsin.protocol.sending.sign_in import Denied, Token

logger = logging.getLogger(__name__)

Fetch = Callable[[], Awaitable[Token | Denied]]
"""Asks the token endpoint."""


class TokenCache:
    """Holds the token of one endpoint."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._fetching: anyio.Event | None = None
        self._fetched = 0
        self._latest: Token | Denied = Denied(None, "not asked yet")
        self._due = 0.0

    def reject(self, token: Token) -> None:
        """Use that token no more; a newer one stays."""
        if self._latest is token:
            self._due = 0.0

    async def get(self) -> Token | Denied:
        """Return a fresh token; callers that come while one is being fetched share its answer."""
        if self._fresh():
            return self._latest
        before = self._fetched
        while self._fetched == before:  # again where the caller that fetched was cancelled, or failed
            if self._fetching is None:
                await self._fetch_one()
            else:
                await self._fetching.wait()
        return self._latest

    async def _fetch_one(self) -> None:
        """Fetch, and wake all that wait for it at once: a lock would let one go on at each turn of the loop."""
        self._fetching = anyio.Event()
        try:
            self._latest = await self._fetch()
            self._fetched += 1
            self._due = 0.0
            if isinstance(self._latest, Token):
                self._due = anyio.current_time() + self._latest.fresh
                logger.debug("got an access token, good for %g s", self._latest.fresh)
        finally:
            self._fetching.set()
            self._fetching = None

    def _fresh(self) -> bool:
        return anyio.current_time() < self._due
