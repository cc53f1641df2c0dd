"""The senders: so many requests a second, of all kinds, whatever has become of those before."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import anyio
from attrs import define, field

from tests.e2e.crash.web_push import TTL, outcome_of, sealed
from tests.e2e.node_troubles.balancer import Balancer
from tests.e2e.node_troubles.devices import Device
from tests.e2e.node_troubles.ledger import Ledger, Post, message_slot
from tests.e2e.node_troubles.waits import Waits

PATIENT = 20.0
"""Seconds after which a sender waits for no answer any more."""

UNDER_WAY = 300
"""Requests at a time, at most."""

WAITING = 60
"""Of one channel: of more than 100 raw ones that are stored, the oldest gives way."""

TAGS = ("", "a", "b", "c")
TOPICS = ("", "a", "b")
_RAW: Final = {"X-WNS-Type": "wns/raw", "Content-Type": "application/octet-stream"}
_TOAST: Final = {"X-WNS-Type": "wns/toast", "Content-Type": "text/xml"}
_BADGE: Final = {"X-WNS-Type": "wns/badge", "Content-Type": "text/xml"}
_CACHE: Final = {"X-WNS-Cache-Policy": "cache"}


@define(eq=False)
class Senders:
    """All senders of one app; half of what they send to a device that has a push subscription are messages of Web Push."""

    http: aiohttp.ClientSession
    balancer: Balancer
    ledger: Ledger
    waits: Waits
    devices: list[Device]
    rate: float
    chance: random.Random
    token: str = ""
    stopping: bool = False
    under_way: int = field(default=0, init=False)

    async def run(self) -> None:
        """Send until stopped, and wait for what is under way."""
        async with anyio.create_task_group() as tasks:
            while not self.stopping:
                await anyio.sleep(self.chance.expovariate(self.rate))
                device = self._device()
                if self.under_way < UNDER_WAY and len(self.ledger.devices[device.number].waiting) < WAITING:
                    tasks.start_soon(self._one, device)

    def _device(self) -> Device:
        """Choose one, mostly of those that wait to be served again."""
        waiting = list(self.waits.waiting)
        if waiting and self.chance.random() < 0.6:
            return self.devices[self.chance.choice(waiting)]
        return self.chance.choice(self.devices)

    async def _one(self, device: Device) -> None:
        ways: dict[Callable[[Device], Awaitable[object]], int] = {
            self.send_raw: 45,
            self._send_uncached: 12,
            self._send_mortal: 4,
            self.send_toast: 22,
            self._send_toast_now: 6,
            self._send_badge: 6,
            self._delete: 5,
        }
        if device.subscription is not None:
            ways |= {self.send_message: 83, self._send_message_now: 6, self._send_mortal_message: 4, self._take_back: 7}
        way = self.chance.choices(list(ways), list(ways.values()))[0]
        self.under_way += 1
        try:
            await way(device)
        finally:
            self.under_way -= 1

    async def send_raw(self, device: Device) -> bool:
        """Send what waits for a device that is away."""
        return await self._post(device, self.ledger.begin(device.number), _RAW | _CACHE)

    async def send_toast(self, device: Device, tag: str | None = None) -> bool:
        """Send what takes the place of what has the same tag."""
        tag = self.chance.choice(TAGS) if tag is None else tag
        headers = _TOAST | ({"X-WNS-Tag": tag} if tag else {})
        return await self._post(device, self.ledger.begin(device.number, f"toast {tag}"), headers)

    async def _send_uncached(self, device: Device) -> bool:
        return await self._post(device, self.ledger.begin(device.number), _RAW)

    async def _send_mortal(self, device: Device) -> bool:
        return await self._post(
            device, self.ledger.begin(device.number, mortal=True), _RAW | _CACHE | {"X-WNS-TTL": "1"}
        )

    async def _send_toast_now(self, device: Device) -> bool:
        return await self._post(
            device, self.ledger.begin(device.number), _TOAST | {"X-WNS-TTL": "0", "X-WNS-Tag": "now"}
        )

    async def _send_badge(self, device: Device) -> bool:
        return await self._post(device, self.ledger.begin(device.number, "badge"), _BADGE)

    async def _delete(self, device: Device) -> bool:
        tag = self.chance.choice([*TAGS[1:], None])
        slots = [f"toast {each}" for each in (TAGS if tag is None else [tag])]
        post = self.ledger.begin(device.number, *slots, mortal=True)
        match = "type:wns/toast;all" if tag is None else f"type:wns/toast;tag={tag}"
        return await self._ask_wns(device, post, "DELETE", b"", {"X-WNS-Match": match})

    async def _post(self, device: Device, post: Post, headers: dict[str, str]) -> bool:
        kind = headers["X-WNS-Type"].removeprefix("wns/")
        number = str(post.number)
        body = {"raw": number, "toast": f"<toast launch='{number}'/>", "badge": f"<badge value='{number}'/>"}[kind]
        return await self._ask_wns(device, post, "POST", body.encode(), headers)

    async def _ask_wns(self, device: Device, post: Post, method: str, body: bytes, headers: dict[str, str]) -> bool:
        return await self._ask(
            post, method, _path_of(device.uri), body, headers | {"Authorization": f"Bearer {self.token}"}
        )

    # Web Push

    async def send_message(self, device: Device, topic: str | None = None) -> bool:
        """Send a message that waits for a device that is away; one of a topic takes the place of what has the same."""
        topic = self.chance.choice(TOPICS) if topic is None else topic
        slots = [f"topic {topic}"] if topic else []
        post = self.ledger.begin(device.number, *slots, by_web_push=True)
        return await self._post_message(device, post, TTL, {"Topic": topic} if topic else {})

    async def _send_message_now(self, device: Device) -> bool:
        return await self._post_message(device, self.ledger.begin(device.number, by_web_push=True), 0)

    async def _send_mortal_message(self, device: Device) -> bool:
        return await self._post_message(device, self.ledger.begin(device.number, mortal=True, by_web_push=True), 1)

    async def _post_message(self, device: Device, post: Post, ttl: int, more: dict[str, str] | None = None) -> bool:
        assert device.subscription is not None
        body, headers = sealed(device.subscription, b"%d" % post.number, ttl)
        return await self._ask(post, "POST", _path_of(device.subscription.endpoint), body, headers | (more or {}))

    async def _take_back(self, device: Device) -> None:
        """Delete a message that may wait, if there is one."""
        waiting = [post for post in self.ledger.devices[device.number].waiting.values() if post.location]
        if waiting:
            target = self.chance.choice(waiting)
            post = self.ledger.begin(device.number, message_slot(target.number), mortal=True, by_web_push=True)
            await self._ask(post, "DELETE", target.location, b"", {})

    # Both

    async def _ask(self, post: Post, method: str, path: str, body: bytes, headers: dict[str, str]) -> bool:
        """Ask the nodes in turn, until one takes the connection; tell whether it was received."""
        for node in self.balancer.order():
            post.node = node.name
            try:
                async with self.http.request(
                    method, f"{node.address.url}{path}", data=body, headers=headers, timeout=_LIMITS
                ) as answer:
                    words = (await answer.read()).decode()
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                node.away()
                continue  # nothing was sent
            except (aiohttp.ClientError, OSError) as failure:
                silent = isinstance(failure, TimeoutError)
                self.ledger.lose(post, "no answer in time" if silent else "connection lost")
                return False
            return self._answered(post, method, answer, words)
        self.ledger.end(post, "no node")
        await anyio.sleep(0.2)  # as a sender does that no node takes
        return False

    def _answered(self, post: Post, method: str, answer: aiohttp.ClientResponse, words: str) -> bool:
        status = answer.headers.get("X-WNS-Status", "")
        if answer.status == 201:
            status = outcome_of(answer.status, words)
        said = words.strip() or answer.headers.get("X-WNS-Error-Description", "")
        received = method == "POST" and answer.status in {200, 201} and status == "received"
        if received and post.by_web_push:
            post.location = _path_of(answer.headers["Location"])
        self.ledger.end(post, f"{method} {answer.status} {status} {said}".strip(), received=received)
        if answer.status == 503 and "Retry-After" not in answer.headers:
            self.ledger.complain(f"{post.node} answered {post.number} with 503, and not when to come back")
        if answer.status not in _EXPECTED[method, post.by_web_push]:
            self.ledger.complain(f"{post.node} answered {post.number} with {answer.status}: {said}")
        return received


_EXPECTED: Final = {
    ("POST", False): {200, 503},
    ("DELETE", False): {200, 503},
    ("POST", True): {201, 503},
    ("DELETE", True): {204, 404, 503},
}
"""Statuses of answers, by the method and whether the request is one of Web Push."""


def _path_of(url: str) -> str:
    """Return what stands behind the host, which is any node's."""
    return urlsplit(url)._replace(scheme="", netloc="").geturl()


_LIMITS: Final = aiohttp.ClientTimeout(total=PATIENT, sock_connect=1.0)
