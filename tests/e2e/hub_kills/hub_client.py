"""A client of the hub, which signs as real ones do."""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime

import aiohttp
from attrs import frozen

from tests.e2e.crash.victims import Stuck
from tests.e2e.hub_kills.hub_program import HUB, HubPlace
from tests.service.hub.hub_world import ENTRY, RAW, entry
from tocsin.protocol.hub.rights import KEY_NAMES, Right
from tocsin.protocol.hub.signature import make_signature

LASTS = 600.0  # seconds that a signature is good


@frozen
class HubReply:
    """What the hub answered."""

    status: int
    location: str
    text: str

    @property
    def id(self) -> str:
        """The id of a message, a schedule or a registration that was made."""
        return self.location.rsplit("/", 1)[-1]


@frozen
class MessageState:
    """Where a message stands: its state, and how many targets ended in which way."""

    state: str
    counts: dict[str, int]


class HubClient:
    """Asks the hub once.

    The methods raise ``aiohttp.ClientError`` or ``OSError`` where the connection ends first, and ``Stuck`` where it does not.
    """

    def __init__(self, http: aiohttp.ClientSession, place: HubPlace) -> None:
        self._http = http
        self._hub = f"{place.url}/{HUB}"
        self._key = place.key

    async def ask(self, method: str, path: str, body: bytes | str = b"", **headers: str) -> HubReply:
        """Ask for a path below the hub's."""
        signature = make_signature(self._hub, KEY_NAMES[Right.MANAGE], self._key, int(time.time() + LASTS))
        signed = {"Authorization": signature, **headers}
        try:
            async with self._http.request(method, f"{self._hub}/{path}", data=body, headers=signed) as answer:
                location = answer.headers.get("Location", "")
                return HubReply(answer.status, location, await answer.text())
        except TimeoutError:
            raise Stuck(f"{method} {path} was neither answered nor cut off") from None

    async def new_registration_id(self) -> HubReply:
        """Ask for the id of a registration that is to be made."""
        return await self.ask("POST", "registrationids")

    async def register(self, id_: str, uri: str, tags: set[str] | frozenset[str]) -> HubReply:
        """Make a registration, or change it."""
        return await self.ask("PUT", f"registrations/{id_}", entry(uri, *sorted(tags)), **ENTRY)

    async def send(self, body: bytes, expression: str, **headers: str) -> HubReply:
        """Send to a tag expression; to all, where it is empty."""
        tagged = {"ServiceBusNotification-Tags": expression} if expression else {}
        return await self.ask("POST", "messages", body, **(RAW | tagged | headers))

    async def send_direct(self, body: bytes, uri: str, **headers: str) -> HubReply:
        """Send to one channel."""
        named = {"ServiceBusNotification-DeviceHandle": uri}
        return await self.ask("POST", "messages?direct", body, **(RAW | named | headers))

    async def send_batch(self, body: bytes, uris: list[str], **headers: str) -> HubReply:
        """Send to several channels."""
        devices = ", ".join(f'"{uri}"' for uri in uris)
        parts = (
            b"--b0\r\nContent-Disposition: inline; name=notification\r\nContent-Type: application/octet-stream\r\n\r\n"
            + body
            + b"\r\n--b0\r\nContent-Disposition: inline; name=devices\r\nContent-Type: application/json\r\n\r\n"
            + f"[{devices}]\r\n--b0--\r\n".encode()
        )
        mixed = {"Content-Type": 'multipart/mixed; boundary = "b0"'}
        return await self.ask("POST", "messages/$batch?direct", parts, **(RAW | mixed | headers))

    async def schedule(self, body: bytes, expression: str, wait: int, **headers: str) -> HubReply:
        """Send to a tag expression so many seconds from now, or up to one less."""
        at = datetime.fromtimestamp(math.ceil(time.time() + 0.1) + wait - 1, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        timed = {"ServiceBusNotification-ScheduleTime": at, "ServiceBusNotification-Tags": expression}
        return await self.ask("POST", "schedulednotifications", body, **(RAW | timed | headers))

    async def cancel(self, id_: str) -> HubReply:
        """Cancel what is scheduled."""
        return await self.ask("DELETE", f"schedulednotifications/{id_}")

    async def state(self, id_: str) -> MessageState | None:
        """Ask what has become of a message; None where the hub knows none of that id."""
        reply = await self.ask("GET", f"messages/{id_}")
        if reply.status == 404:
            return None
        assert reply.status == 200, reply.text
        state = re.search("<State>(.*?)</State>", reply.text)
        assert state is not None, reply.text
        counts = re.findall("<Name>(.*?)</Name><Count>(.*?)</Count>", reply.text)
        return MessageState(state[1], {name: int(count) for name, count in counts})
