"""A service with a hub, and a client of it that signs as real ones do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from attrs import define
from yarl import URL

from tests.service.world import Answer, Device, World, dial, open_world, read
from tocsin.protocol.hub.rights import KEY_NAMES, Right
from tocsin.protocol.hub.signature import make_signature
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.hubs import HubKeys

WINDOWS = {"ServiceBusNotification-Format": "windows"}
RAW = WINDOWS | {"X-WNS-Type": "wns/raw", "Content-Type": "application/octet-stream"}
ENTRY = {"Content-Type": "application/atom+xml;type=entry;charset=utf-8"}


@define
class HubWorld:
    """A running service with the hub ``contoso``."""

    world: World
    keys: HubKeys

    def signature(self, right: Right = Right.MANAGE, *, path: str = "/contoso", lasts: float = 300) -> str:
        """Sign for a path and what is below it."""
        resource = f"{self.world.service.url}{path}"
        return make_signature(resource, KEY_NAMES[right], self.keys.keys[right], int(self.world.clock.time + lasts))

    async def ask(
        self, method: str, path: str, body: bytes | str = b"", *, right: Right = Right.MANAGE, **headers: str
    ) -> Answer:
        """Ask the hub; ``path`` begins behind its name."""
        headers = {"Authorization": self.signature(right), **headers}
        return await self.request(method, f"/contoso/{path}", body, headers)

    async def request(self, method: str, path: str, body: bytes | str, headers: Mapping[str, str]) -> Answer:
        """Ask the service; the path is sent as it is written, and so are the headers, without any of the library's own."""
        url = URL(f"{self.world.service.url}{path}", encoded=True)
        skipped = ["Content-Type", "Accept", "Accept-Encoding", "User-Agent"]
        data = body.encode() if isinstance(body, str) else body
        request = self.world.http.request(
            method, url, data=BytesIO(data) if data else None, headers=headers, skip_auto_headers=skipped
        )
        async with request as answer:
            return await read(answer)

    async def send(self, body: bytes | str, tags: str = "", **headers: str) -> Answer:
        """Send a raw notification to a tag expression."""
        tagged = {"ServiceBusNotification-Tags": tags} if tags else {}
        return await self.ask("POST", "messages", body, right=Right.SEND, **(RAW | tagged | headers))

    async def register(self, uri: str, *tags: str) -> Answer:
        """Register a channel."""
        return await self.ask("POST", "registrations", entry(uri, *tags), right=Right.LISTEN, **ENTRY)


def entry(uri: str, *tags: str, kind: str = "WindowsRegistrationDescription", more: str = "") -> str:
    """Write an entry as the documents have it."""
    uri = uri.replace("&", "&amp;")
    tagged = f"<Tags>{','.join(tags)}</Tags>" if tags else ""
    return (
        '<?xml version="1.0" encoding="utf-8"?><entry xmlns="http://www.w3.org/2005/Atom"><content type="application/xml">'
        f'<{kind} xmlns:i="http://www.w3.org/2001/XMLSchema-instance" '
        'xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">'
        f"{tagged}<ChannelUri>{uri}</ChannelUri>{more}</{kind}></content></entry>"
    )


@asynccontextmanager
async def open_hub(state: Path, settings: ServiceSettings | None = None, **more: Any) -> AsyncIterator[HubWorld]:
    """Run a service with a hub; its keys are new where it was there before."""
    async with open_world(state, settings, **more) as world:
        hubs = world.service.hubs
        made = hubs.rotate if hubs.named("contoso") else hubs.add
        yield HubWorld(world, await made("contoso"))


@asynccontextmanager
async def connected(hub: HubWorld, key: str) -> AsyncIterator[tuple[Device, str]]:
    """Connect a device, and give it with the URI of its channel."""
    async with dial(hub.world.service) as device:
        await device.greet(key)
        yield device, (await device.channel(hub.world.app.remote_id)).uri
