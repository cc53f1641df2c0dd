"""Packaged apps of an agent: its own push service knows their families."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.agent.world import PATIENCE, World, world
from tocsin import PushNotificationManager, WnsClient, connect
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import decode_own, encode
from tocsin.protocol.messages.unpacking import MAX_OWN_FRAME
from tocsin.protocol.values import AGENT_VERSION
from tocsin.transport.frame_stream import FrameStream


@pytest.fixture
def anyio_backend() -> str:
    """Sockets and SQLite: on asyncio."""
    return "asyncio"


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    """Run an agent."""
    async with world(tmp_path) as found:
        yield found


async def hears(manager: PushNotificationManager) -> None:
    """See that the channel of an app's family is that of its own registration: its sender may use it."""
    with anyio.fail_after(PATIENCE):
        result = await manager.create_channel()
        assert result.channel is not None, result
        registration = manager.registration
        assert registration is not None
        async with WnsClient(
            registration.client_id, registration.client_secret, token_url=registration.token_url
        ) as client:
            await client.send(result.channel.uri, manager.app.encode())
        async for args in result.channel.payloads():
            assert args.payload == manager.app.encode()
            break


async def test_apps_ask_by_the_family_of_their_manifest(w: World, tmp_path: Path) -> None:
    """Two of one package, and one that was here before it had a manifest."""
    manifest = tmp_path / "tocsin.toml"
    manifest.write_text('family_name = "Contoso_1"\n', encoding="utf-8")
    async with (
        w.connect("mail") as before,
        connect("mail", w.socket, manifest=manifest) as mail,
        connect("chat", w.socket, manifest=manifest) as chat,
    ):
        assert before.registration == mail.registration
        await hears(mail)
        await hears(chat)


async def test_a_hello_with_a_wrong_family_is_refused(w: World) -> None:
    """In words."""
    async with await anyio.connect_unix(w.socket) as stream:
        frames = FrameStream(stream, MAX_OWN_FRAME)
        await frames.send([encode(m.SessionHello(AGENT_VERSION, "mail", "\n"))])
        with anyio.fail_after(PATIENCE):
            answer = decode_own((await frames.receive())[0])
        assert isinstance(answer, m.SessionRefused)
        assert "a package family name" in answer.text
