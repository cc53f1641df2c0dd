"""A distributor on a bus, over a platform whose push service a test plays, and an app on the same bus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from attrs import define
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from tests.agent.unifiedpush.played import MemoryRegistrations
from tests.e2e.desktops.bus import connected, has_owner
from tests.helpers import PATIENCE
from tests.world import World, world
from tocsin.agent.unifiedpush.distributor import Distributor
from tocsin.protocol.unifiedpush.connector_registration import ConnectorRegistration
from tocsin.protocol.unifiedpush.names import DISTRIBUTOR, DISTRIBUTOR_PATH
from tocsin.protocol.webpush.base64url import encode
from tocsin.repeat_log import RepeatLog

CHAT = "org.example.Chat"
TOKEN = "t"  # noqa: S105  # of no one


@define
class Served:
    """A distributor, its platform, and a connection of an app."""

    platform: World
    distributor: Distributor
    store: MemoryRegistrations
    bus: MessageBus
    heard: list[Message]

    async def register(self, token: str = TOKEN, service: str = CHAT, key: bytes | None = None) -> Any:
        """Register as an app does, by version 2, and return the answer."""
        values = {"service": service, "token": token} | ({} if key is None else {"vapid": encode(key)})
        return await self.ask("Register", "a{sv}", [{name: Variant("s", value) for name, value in values.items()}])

    async def ask(self, member: str, signature: str, body: list[Any], version: int = 2) -> Any:
        """Call the distributor; return the values of a dictionary, the arguments, or the name of an error."""
        call = Message(
            destination=DISTRIBUTOR,
            path=DISTRIBUTOR_PATH,
            interface=f"org.unifiedpush.Distributor{version}",
            member=member,
            signature=signature,
            body=body,
        )
        answer = await self.bus.call(call)
        assert answer is not None
        if answer.message_type is MessageType.ERROR:
            return answer.error_name
        return {name: each.value for name, each in answer.body[0].items()} if version == 2 else answer.body

    async def registered(self, token: str = TOKEN, channel: str = "c1") -> None:
        """Register, and have the push service grant the endpoint."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.register, token)
            await self.platform.service.grant(channel)


@asynccontextmanager
async def served(
    folder: Path,
    address: str | None,
    app_on: str = "",
    *,
    reachable: bool = True,
    rows: tuple[ConnectorRegistration, ...] = (),
) -> AsyncIterator[Served]:
    """Run a distributor until the block is left, and an app that owns its name beside it."""
    store, log = MemoryRegistrations(*rows), RepeatLog()
    heard: list[Message] = []

    def hear(message: Message) -> bool:
        if message.message_type is MessageType.METHOD_CALL:
            heard.append(message)
        return message.message_type is MessageType.METHOD_CALL

    async with (
        world(folder, connect=reachable, reachable=reachable) as platform,
        connected(app_on or str(address)) as bus,
    ):
        bus.add_message_handler(hear)
        await bus.request_name(CHAT)
        distributor = Distributor(platform.platform, store, log, address)
        with anyio.fail_after(3 * PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(distributor.run)
                yield Served(platform, distributor, store, bus, heard)
                tasks.cancel_scope.cancel()


async def until_owned(s: Served) -> None:
    """Wait until the distributor has its name."""
    while not await has_owner(s.bus, DISTRIBUTOR):  # noqa: ASYNC110  # another connection's
        await anyio.sleep(0.005)
