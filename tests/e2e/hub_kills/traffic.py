"""What is sent while the service is killed: messages in each of the ways that a hub has, one after the other."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence

import aiohttp
import anyio

from tests.e2e.hub_kills.figures import KNOCK, HubFigures, Sent
from tests.e2e.hub_kills.hub_client import HubClient, HubReply
from tests.e2e.hub_kills.recipients import Recipient

CACHE = {"X-WNS-Cache-Policy": "cache"}

EXPRESSIONS: dict[str, Callable[[frozenset[str]], bool]] = {
    "live": lambda tags: "live" in tags,
    "kept": lambda tags: "kept" in tags,
    "live && !slow": lambda tags: "live" in tags and "slow" not in tags,
    "(odd || kept) && !slow": lambda tags: bool(tags & {"odd", "kept"}) and "slow" not in tags,
    "": lambda _: True,
}
"""What messages are sent to, and whom that means, in words of Python's."""


class Traffic:
    """Sends messages, which have numbers as their bodies, and notes how each was answered."""

    def __init__(
        self, client: HubClient, recipients: Sequence[Recipient], figures: HubFigures, chance: random.Random
    ) -> None:
        self.sent: list[Sent] = []
        """All messages, by number."""
        self.ready = anyio.Event()
        """Set while the service and the devices are there."""
        self.ready.set()
        self.stopping = False
        self._client = client
        self._recipients = recipients
        self._figures = figures
        self._random = chance

    def pause(self) -> None:
        """Begin nothing more until ``ready`` is set."""
        self.ready = anyio.Event()

    async def run(self) -> None:
        """Send one message after another, each once, however it is answered."""
        ways = {
            self._send_tagged: 6,
            self._send_direct: 3,
            self._send_batch: 3,
            self._send_scheduled: 3,
            self._send_and_cancel: 1,
        }
        while not self.stopping:
            await self.ready.wait()
            way = self._random.choices(list(ways), list(ways.values()))[0]
            await way()
            await anyio.sleep(KNOCK)

    async def _send_tagged(self) -> None:
        expression, targets, policy = self._choose()
        await self._send("tagged", targets, lambda body: self._client.send(body, expression, **policy))

    async def _send_direct(self) -> None:
        recipient = self._random.choice(self._recipients)
        targets = frozenset({recipient.name})
        policy = CACHE if "kept" in recipient.tags else {}
        await self._send("direct", targets, lambda body: self._client.send_direct(body, recipient.uri, **policy))

    async def _send_batch(self) -> None:
        some = self._random.sample(self._recipients, 3)
        uris = [recipient.uri for recipient in (*some, some[0])]  # one of them twice
        targets = frozenset(recipient.name for recipient in some)
        await self._send("batch", targets, lambda body: self._client.send_batch(body, uris, **CACHE))

    async def _send_scheduled(self) -> None:
        expression, targets, policy = self._choose()
        wait = self._random.choice([1, 2])
        await self._send(
            "scheduled", targets, lambda body: self._client.schedule(body, expression or "live || kept", wait, **policy)
        )

    async def _send_and_cancel(self) -> None:
        """Schedule a message, and cancel it at about the time that it is due."""
        expression, targets, policy = self._choose()
        sent = await self._send(
            "cancelled", targets, lambda body: self._client.schedule(body, expression or "live || kept", 1, **policy)
        )
        if sent is None:
            return
        await anyio.sleep(self._random.uniform(0, 1.2))
        sent.may_be_cancelled = True
        try:
            reply = await self._client.cancel(sent.id)
        except (aiohttp.ClientError, OSError):
            return
        if reply.status == 200:
            sent.cancelled = True
            self._figures.cancelled += 1
        else:
            sent.may_be_cancelled = False
            if reply.status != 404:
                self._figures.violations.append(f"{sent.number} was to be cancelled: {reply.status} {reply.text}")

    def _choose(self) -> tuple[str, frozenset[str], dict[str, str]]:
        expression = self._random.choice(list(EXPRESSIONS))
        some = [recipient for recipient in self._recipients if EXPRESSIONS[expression](recipient.tags)]
        policy = CACHE if any("kept" in recipient.tags for recipient in some) else {}
        return expression, frozenset(recipient.name for recipient in some), policy

    async def _send(
        self, kind: str, targets: frozenset[str], call: Callable[[bytes], Awaitable[HubReply]]
    ) -> Sent | None:
        """Send a message, which has a number as its body; return it if it was accepted."""
        sent = Sent(len(self.sent) + 1, targets, kind)
        self.sent.append(sent)
        try:
            reply = await call(str(sent.number).encode())
        except (aiohttp.ClientError, OSError):
            self._figures.unanswered += 1
            return None
        if reply.status != 201:
            self._figures.refused[f"{reply.status} {reply.text}"] += 1
            return None
        sent.id = reply.id
        self._figures.accepted[kind] += 1
        return sent

    async def send_to_tag(self, tag: str, name: str) -> None:
        """Send to the one device that has a tag, until that is accepted."""
        targets = frozenset({name})
        while not await self._send("tag", targets, lambda body: self._client.send(body, tag, **CACHE)):  # noqa: ASYNC110  # a kill comes in between
            await anyio.sleep(KNOCK)
