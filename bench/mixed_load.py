"""What comes and goes at a push service: devices, senders of all four types, mistakes, and an account of every id."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from itertools import cycle
from random import Random
from typing import Any

from aiohttp import ClientSession
from attrs import Factory, define, field, frozen
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tocsin.client.wns_client import WnsClient
from tocsin.protocol.errors import SendFailed
from tocsin.protocol.messages import (
    Acknowledge,
    ChannelGranted,
    ChannelsRevoked,
    Hello,
    Message,
    Payload,
    RequestChannel,
    RevokeChannels,
    Welcome,
    codec,
)
from tocsin.protocol.values import MAX_PAYLOAD, PROTOCOL_VERSION

LONGEST = 5.0
"""Seconds that a device is away, or there, at most."""

RAW_WHILE_AWAY = 50
"""Raw notifications that may come for a device meanwhile: half of what the service keeps, so that none gives way."""

_TAGS = (None, "a", "b")
_BODIES = {"raw": "x" * 256, "toast": "<toast/>", "tile": "<tile/>", "badge": "<badge value='1'/>"}
_KINDS = ("raw", "raw", "raw", "toast", "tile", "badge")  # in these proportions

Slot = tuple[int, str, str | None]
"""A channel, a type and a tag: of what waits there, the newest counts."""


@frozen
class App:
    """An app of the service, and where its servers get tokens."""

    client_id: str
    client_secret: str = field(repr=False)
    remote_id: str
    token_url: str


@define(eq=False)
class Account:
    """Which acknowledged notifications have yet to arrive; one that has is forgotten."""

    received: int = 0
    """Answered with ``received``."""
    arrived: int = 0
    """Taken by a device, each time."""
    others: Counter[str] = Factory(Counter)
    """What else senders were answered."""
    to_come: dict[str, Slot] = Factory(dict)
    """Acknowledged, not arrived, and nothing may take their place."""
    may_go: set[str] = Factory(set)
    """Acknowledged, not arrived, and replaced by a newer one or short-lived."""
    _early: set[str] = Factory(set)  # arrived before their senders had an answer
    _newest: dict[Slot, str] = Factory(dict)

    def doubt(self, slot: Slot) -> None:
        """Note that a notification was refused, or its answer lost: it may have replaced what waited, or not."""
        older = self._newest.get(slot, "")
        if slot[1] != "raw" and self.to_come.pop(older, None) is not None:
            self.may_go.add(older)

    def acknowledge(self, id_: str, slot: Slot, *, mortal: bool) -> None:
        """Note what a sender was told; a sender tells of one channel in order."""
        self.received += 1
        self.doubt(slot)
        self._newest[slot] = id_
        if id_ in self._early:
            self._early.discard(id_)
        elif mortal:
            self.may_go.add(id_)
        else:
            self.to_come[id_] = slot

    def arrive(self, id_: str) -> None:
        """Note what a device has taken."""
        self.arrived += 1
        if self.to_come.pop(id_, None) is None and id_ not in self.may_go:
            self._early.add(id_)
        self.may_go.discard(id_)


class Device:
    """A device with one channel, which is there all the time, or comes and goes."""

    def __init__(self, url: str, number: int, app: App, account: Account) -> None:
        self.number = number
        self.app = app
        self.uri = ""
        self._url = url
        self._key = f"device {number:032d}"
        self._account = account

    async def enrol(self) -> None:
        """Get the channel."""
        async with connect(self._url, compression=None) as socket:
            granted = await self._ask(socket, RequestChannel(1, "bench", self.app.remote_id, ""))
            assert isinstance(granted, ChannelGranted), granted
            self.uri = granted.uri

    async def revoke(self) -> None:
        """Close the channel."""
        async with connect(self._url, compression=None) as socket:
            assert isinstance(await self._ask(socket, RevokeChannels(1, "bench")), ChannelsRevoked)

    async def live(self, longest: float | None, recalled: asyncio.Event, random: Random) -> None:
        """Take and acknowledge what comes; with ``longest``, be away in between until recalled, then stay."""
        while True:
            stay = None if longest is None or recalled.is_set() else random.uniform(0.1, longest)
            async with connect(self._url, compression=None) as socket:
                with suppress(TimeoutError, ConnectionClosed):
                    async with asyncio.timeout(stay):
                        await self._take(socket)
                if random.random() < 0.5:
                    socket.transport.abort()  # as when a network is lost
            if longest is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(recalled.wait(), random.uniform(0.1, longest))

    async def _take(self, socket: ClientConnection) -> None:
        await _send(socket, Hello(PROTOCOL_VERSION, self._key))
        async for chunk in socket:
            assert isinstance(chunk, bytes)
            payloads = [each for each in map(codec.decode, codec.split(chunk)) if isinstance(each, Payload)]
            for payload in payloads:
                self._account.arrive(payload.id)
            if payloads:
                await _send(socket, Acknowledge(tuple(payload.id for payload in payloads)))

    async def _ask(self, socket: ClientConnection, question: Message) -> Message:
        await _send(socket, Hello(PROTOCOL_VERSION, self._key), question)
        async for chunk in socket:
            assert isinstance(chunk, bytes)
            for message in map(codec.decode, codec.split(chunk)):
                if not isinstance(message, Welcome):
                    return message
        raise ConnectionError("the service hung up")


async def _send(socket: ClientConnection, *messages: Message) -> None:
    await socket.send(b"".join(codec.encode(message) for message in messages))


async def send(  # noqa: PLR0913, PLR0917  # what a sender needs
    app: App, devices: list[Device], rate: float, account: Account, random: Random, stop: asyncio.Event
) -> None:
    """Send to these devices in turn, one after the other, that often a second at most, until told to stop.

    It stops between two: one whose answer is not heard may have replaced an earlier one.
    """
    loop = asyncio.get_running_loop()
    due = loop.time()
    async with WnsClient(app.client_id, app.client_secret, token_url=app.token_url) as client:
        for device in cycle(devices):
            if stop.is_set():
                return
            await _send_one(client, device, account, random)
            due = max(due + 1 / rate, loop.time() - 1)
            await asyncio.sleep(due - loop.time())


async def _send_one(client: WnsClient, device: Device, account: Account, random: Random) -> None:
    kind = random.choice(_KINDS)
    cache = random.random() < 0.5 if kind == "raw" else None
    tag = random.choice(_TAGS) if kind in {"toast", "tile"} else None
    mortal = cache is not False and random.random() < 0.1
    try:
        result = await client.send(
            device.uri, _BODIES[kind], type=kind, cache=cache, tag=tag, ttl=1 if mortal else None
        )
    except SendFailed as failure:
        account.others[type(failure).__name__] += 1
        account.doubt((device.number, kind, tag))
        return
    if result.received:
        assert result.msg_id is not None
        account.acknowledge(result.msg_id, (device.number, kind, tag), mortal=mortal)
    else:
        account.others[result.status or "no status"] += 1


class Mistakes:
    """Requests that are refused, each with the answer that is due to it.

    :param gone: its channel was revoked; ``theirs`` is of another app.
    :param flood: posts, made together, that are far more than one channel may be sent.
    """

    def __init__(self, http: ClientSession, flooded: Device, gone: Device, theirs: Device, flood: int) -> None:
        self.statuses: Counter[int] = Counter()
        self._http = http
        self._flooded = flooded
        self._flood = flood
        self._headers: dict[str, str] = {}
        raw = {"X-WNS-Type": "wns/raw", "Content-Type": "application/octet-stream"}
        self._each: list[tuple[int, str, dict[str, str], bytes]] = [
            (401, flooded.uri, {**raw, "Authorization": "Bearer not.a.token"}, b"x"),
            (403, theirs.uri, raw, b"x"),
            (404, f"{flooded.uri}x", raw, b"x"),
            (410, gone.uri, raw, b"x"),
            (400, flooded.uri, {**raw, "X-WNS-Type": "wns/telegram"}, b"x"),
            (413, flooded.uri, raw, bytes(MAX_PAYLOAD + 1)),
        ]
        self._raw = raw

    async def make(self, every: float) -> None:
        """Make each mistake, then flood a channel, and so on, so many seconds apart."""
        await self._sign_in()
        while True:
            for expected, uri, headers, body in self._each:
                await asyncio.sleep(every)
                found = await self._post(uri, headers, body)
                assert found == expected, f"{uri} was answered with {found}, not {expected}"
            flood = await asyncio.gather(*(self._post(self._flooded.uri, self._raw, b"x") for _ in range(self._flood)))
            assert set(flood) == {200, 406}, flood

    async def _sign_in(self) -> None:
        app = self._flooded.app
        form = {"grant_type": "client_credentials", "client_id": app.client_id, "scope": "notify.windows.com"}
        async with self._http.post(app.token_url, data=form | {"client_secret": app.client_secret}) as answer:
            found: dict[str, Any] = await answer.json()
        self._headers = {"Authorization": f"Bearer {found['access_token']}"}

    async def _post(self, uri: str, headers: dict[str, str], body: bytes) -> int:
        async with self._http.post(uri, headers=self._headers | headers, data=body) as answer:
            await answer.read()
        self.statuses[answer.status] += 1
        return answer.status
