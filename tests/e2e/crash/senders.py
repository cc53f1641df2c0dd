"""The senders: several keep-alive connections, each with one push under way; every other one is a sender of Web Push."""

from __future__ import annotations

import aiohttp
import anyio

from tests.e2e.crash.account import Account
from tests.e2e.crash.payloads import LAST
from tests.e2e.crash.web_push import TTL, Reached, notify, post
from tests.processes import Sender

CONNECTIONS = 8
KNOCK = 0.005
"""Seconds between two pushes while none gets through, when only one connection tries."""


class Senders:
    """Push numbered payloads as fast as they are answered, and tell the account of every answer."""

    def __init__(self, server: Sender, http: aiohttp.ClientSession, account: Account) -> None:
        self.reached: Reached
        """Where to push to; to be set before the senders run."""
        self._server = server
        self._http = http
        self._account = account
        self._through = anyio.Event()
        self._stopping = False
        self._stopped = anyio.Event()

    async def run(self) -> None:
        """Push until stopped."""
        async with anyio.create_task_group() as tasks:
            for connection in range(CONNECTIONS):
                tasks.start_soon(self._push_on, connection)
        self._stopped.set()

    async def stop(self) -> None:
        """Let each push under way be the last of its connection, and wait for them."""
        self._stopping = True
        self._through.set()
        await self._stopped.wait()

    async def push_last(self, *, by_web_push: bool) -> int:
        """Push payloads that say that they are the last of that way, until one is acknowledged; return its number."""
        number = None
        while number is None:
            await anyio.sleep(KNOCK)
            number = await self._push(by_web_push, LAST)
        return number

    async def _push(self, by_web_push: bool, mark: bytes = b"") -> int | None:
        """Push the next payload, and return its number if it was acknowledged; it is never sent a second time."""
        number = self._account.next_number()
        body = str(number).encode() + mark
        try:
            outcome, id_ = await (self._post(body) if by_web_push else notify(self._server, self.reached.uri, body))
        except (aiohttp.ClientError, OSError):
            self._account.refused["connection lost"] += 1
            return None
        if outcome != "received":
            self._account.refused[outcome] += 1
            return None
        self._account.acknowledge(number, id_, by_web_push=by_web_push)
        return number

    async def _post(self, body: bytes) -> tuple[str, str]:
        ttl = TTL if self._account.may_store() else 0
        return await post(self._http, self.reached.subscription, body, ttl)

    async def _push_on(self, connection: int) -> None:
        while not self._stopping:
            if await self._push(by_web_push=connection % 2 == 1) is not None:
                self._through.set()
            elif connection == 0:
                self._close()
                await anyio.sleep(KNOCK)
            else:
                self._close()
                await self._through.wait()

    def _close(self) -> None:
        if self._through.is_set() and not self._stopping:
            self._through = anyio.Event()
