"""What strangers might do to a push service by Web Push."""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from aiohttp import ClientSession, TCPConnector
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.strangers import Target, several
from tests.e2e.websocket_attacks import Attack
from tocsin.protocol.messages import ChannelGranted, ChannelRefused, Hello, Message, RequestChannel, codec
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.protocol.webpush.base64url import encode
from tocsin.protocol.webpush.sender import web_push_sender
from tocsin.protocol.webpush.vapid import claims
from tocsin.webpush.message_encryption import SubscriptionKeys, encrypt
from tocsin.webpush.vapid_keys import VapidKey

WORKERS: Final = 4
"""Requests that are under way at a time."""

USUAL: Final = {"TTL": "0", "Content-Encoding": "aes128gcm"}
KEYS: Final = SubscriptionKeys.generate()
SEALED: Final = encrypt(KEYS.p256dh, KEYS.auth, b"x").body
ANYONE: Final = web_push_sender(None)


class Device:
    """One that asks for push subscriptions."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def answer(self) -> Message:
        """Wait for what the service says."""
        data = await self.socket.recv()
        assert isinstance(data, bytes)
        return codec.decode(codec.split(data)[0])

    async def subscribe(self, app: str) -> str:
        """Ask for one; return its endpoint, or what was said instead."""
        await self.socket.send(codec.encode(RequestChannel(1, app, ANYONE, "")))
        answer = await self.answer()
        if isinstance(answer, ChannelGranted):
            return answer.uri
        assert isinstance(answer, ChannelRefused)
        return answer.text


@asynccontextmanager
async def device(target: Target, number: int, key: str) -> AsyncIterator[Device]:
    """Connect a device of the attacker's, from one of a few addresses."""
    address = (f"127.0.0.{2 + number % 8}", 0)
    async with connect(f"ws://127.0.0.1:{target.port}/device", local_addr=address, compression=None) as socket:
        opened = Device(socket)
        await opened.socket.send(codec.encode(Hello(PROTOCOL_VERSION, key)))
        await opened.answer()
        yield opened


async def heads(target: Target) -> str:
    """Post what is let in, with very long headers that are never the same, and tokens that one has signed for oneself."""
    key, outcomes = VapidKey.generate(), Counter[str]()
    async with device(target, 0, "a device of the attacker's, one of many") as mine:
        endpoint = await mine.subscribe("mine")
    long = "x" * 2_000

    async def post(number: int) -> None:
        said = claims(target.url, time.time() + 3_600, f"{number} {long}")
        topic = encode(secrets.token_bytes(24))
        headers = USUAL | {"Authorization": key.sign(said), "Topic": topic}
        async with http.post(endpoint, data=SEALED, headers=headers) as answer:
            outcomes[f"answered with {answer.status}"] += 1

    numbers, end = itertools.count(), time.monotonic() + target.seconds
    async with ClientSession(connector=TCPConnector(limit=WORKERS, local_addr=("127.0.0.2", 0))) as http:
        while time.monotonic() < end:
            await asyncio.gather(*(post(next(numbers)) for _ in range(WORKERS)))
    return _counted(outcomes)


async def blanks(target: Target) -> str:
    """Post with headers of 30 KB that a careless reader would look at for minutes."""
    outcomes: Counter[str] = Counter()
    values = [f'vapid t={" " * 30_000}"', "vapid " + "a=," * 10_000, "vapid " + ";" * 30_000, f"vapid {'a' * 30_000}"]

    async def post(index: int) -> str:
        async with ClientSession(connector=TCPConnector(local_addr=(f"127.0.0.{2 + index % 8}", 0))) as http:
            for number in itertools.count(index):
                headers = USUAL | {"Authorization": values[number % len(values)]}
                async with http.post(f"{target.url}/p/{'A' * 43}", data=SEALED, headers=headers) as answer:
                    outcomes[f"answered with {answer.status}"] += 1
        return ""

    with suppress(TimeoutError):
        async with asyncio.timeout(target.seconds):
            await asyncio.gather(*(post(index) for index in range(WORKERS)))
    return _counted(outcomes)


async def subscriptions(target: Target) -> str:
    """Ask for push subscriptions without end: one device from one address, and many devices, each of its own key, from a few."""
    outcomes: Counter[str] = Counter()

    async def ask(index: int) -> str:
        for life in itertools.count():
            key = "one device of the attacker's that has one key" if index == 0 else secrets.token_hex(20)
            async with device(target, index, key) as mine:
                for number in range(2_000 if index == 0 else 50):
                    said = await mine.subscribe(f"app{life}.{number}")
                    outcomes["granted" if said.startswith("http") else said] += 1
        return ""

    await several(target, 8, ask)
    return _counted(outcomes)


async def endpoints(target: Target) -> str:
    """Guess push resources, near to a real one and far from all, and compare the times of the answers."""
    async with device(target, 0, "a device of the attacker's, one of many") as mine:
        endpoint = await mine.subscribe("mine")
    base, _, real = endpoint.rpartition("/")
    times: dict[str, list[float]] = {"near": [], "far": []}
    statuses: Counter[int] = Counter()
    chance = random.Random(0)  # noqa: S311  # the order in which they are asked
    async with ClientSession() as http:
        end = time.monotonic() + target.seconds
        while time.monotonic() < end:
            near = real[:-2] + encode(secrets.token_bytes(3))[:2]  # all but twelve bits are right
            guesses = [("near", near), ("far", secrets.token_urlsafe(32))]
            chance.shuffle(guesses)
            for kind, guess in guesses:
                began = time.perf_counter()
                async with http.post(f"{base}/{guess}", data=SEALED, headers=USUAL) as answer:
                    statuses[answer.status] += 1
                    await answer.read()
                times[kind].append(time.perf_counter() - began)
    return f"{statuses.total():,} guesses, answered {dict(statuses)}; {compared(times['near'], times['far'])}"


def compared(near: list[float], far: list[float]) -> str:
    """Say by how much two lots of times differ, in their fastest tenths and medians, and how often that comes of chance.

    The times are shuffled between the two again and again: so often do their medians differ by as much.
    """
    chance = random.Random(0)  # noqa: S311  # a test by permutation
    seen = statistics.median(near) - statistics.median(far)
    both, beyond, rounds = [*near, *far], 0, 200
    for _ in range(rounds):
        chance.shuffle(both)
        other = statistics.median(both[: len(near)]) - statistics.median(both[len(near) :])
        beyond += abs(other) >= abs(seen)
    tenths = [statistics.quantiles(each, n=10)[0] * 1e6 for each in (near, far)]
    return (
        f"median near {statistics.median(near) * 1e6:.1f} µs, far {statistics.median(far) * 1e6:.1f} µs,"
        f" first tenth near {tenths[0]:.1f} µs, far {tenths[1]:.1f} µs; of chance alone such medians differ as much"
        f" in {beyond} of {rounds} shuffles"
    )


def _counted(outcomes: Counter[str]) -> str:
    return ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())


WEB_PUSH_ATTACKS: Final[tuple[Attack, ...]] = (heads, blanks, subscriptions, endpoints)
