"""A hub of a ``tocsin serve --dev-tls``, and two devices with an app that gets what is sent to them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from aiohttp import ClientSession, TCPConnector
from attrs import define, field, frozen

import tocsin
from tests.cli.test_serve import ok, serving
from tests.processes import PATIENCE, Sender

_LAST = {
    "badge": b'<badge value="paused"/>',
    "raw": b"nothing more has come",
    "tile": b'<tile><visual><binding template="TileSquareText04"/></visual></tile>',
    "toast": b'<toast><visual><binding template="ToastText01"/></visual></toast>',
}  # one of each type: an app gets them in order by type

Arrived = list[tuple[str, bytes]]


@define
class _Device:
    """What has come to a device."""

    channel: tocsin.PushNotificationChannel
    arrived: Arrived = field(factory=list)
    more: anyio.Event = field(factory=anyio.Event)

    async def collect(self) -> None:
        async with aclosing(self.channel.payloads()) as payloads:
            async for args in payloads:
                args.handled = True
                self.arrived.append((args.type.value, args.payload))
                self.more.set()

    async def up_to_last(self) -> Arrived:
        """Return what has come before the last ones, and forget it."""
        last = set(_LAST.items())
        with anyio.fail_after(PATIENCE):
            while not last <= set(self.arrived):
                self.more = anyio.Event()
                await self.more.wait()
        arrived, self.arrived = self.arrived, []
        return [each for each in arrived if each not in last]


@frozen
class ServedHub:
    """What a hub's client is told, and what comes of what it sends."""

    connection_string: str
    name: str
    authority: str
    """The file with the certificate that clients are to trust."""
    _state: str
    _devices: list[_Device]
    _sender: Sender

    @property
    def uris(self) -> list[str]:
        """The devices' channels."""
        return [device.channel.uri for device in self._devices]

    async def arrived(self, *, scheduled: int = 0) -> list[Arrived]:
        """Wait until all is sent but what is still scheduled, and return what came to each device, by type and body."""
        with anyio.fail_after(PATIENCE):
            while await self._waiting() > scheduled:  # noqa: ASYNC110  # the command does not wait
                await anyio.sleep(0.1)
        for uri in self.uris:
            for kind, body in _LAST.items():
                media_type = "application/octet-stream" if kind == "raw" else "text/xml"
                status, _ = await self._sender.push(body, uri, X_WNS_Type=f"wns/{kind}", Content_Type=media_type)
                assert status == 200
        return [sorted(await device.up_to_last()) for device in self._devices]

    async def _waiting(self) -> int:
        (hub,) = (await ok("hub", "list", "--state", self._state))["hubs"]
        waiting: int = hub["waiting"]
        return waiting


@asynccontextmanager
async def open_served_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServedHub]:
    """Run the service and the devices, which trust its authority as a person has it trusted."""
    state = str(folder / "service")
    async with AsyncExitStack() as stack:
        first = (await stack.enter_async_context(serving(folder / "service", "--dev-tls"))).first
        monkeypatch.setenv("SSL_CERT_FILE", first["ca"])
        app = await ok("app", "add", "contoso.mail", "--state", state)
        strings = (await ok("hub", "add", "contoso", "--state", state))["connection_strings"]
        devices = []
        for name in ("first", "second"):
            manager = await stack.enter_async_context(tocsin.embedded("contoso.mail", folder / name, first["url"]))
            channel = (await manager.create_channel(app["remote_id"])).channel
            assert channel is not None
            devices.append(_Device(channel))
        trusting = TCPConnector(ssl=ssl.create_default_context(cafile=first["ca"]))
        sender = Sender(await stack.enter_async_context(ClientSession(connector=trusting)), first | app)
        await sender.sign_in()
        async with anyio.create_task_group() as tasks:
            for device in devices:
                tasks.start_soon(device.collect)
            yield ServedHub(strings["manage"], "contoso", first["ca"], state, devices, sender)
            tasks.cancel_scope.cancel()
