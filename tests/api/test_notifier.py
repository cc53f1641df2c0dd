"""How a toast finds the platform of the block that its code stands in."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

import tocsin
from tests.agent.world import world as agent
from tests.helpers import payload
from tests.world import Gathered, world
from tocsin.protocol.errors import IllegalCall, NotSupported
from tocsin.protocol.hresult import HResult
from tocsin.protocol.toasts.notifier import current_notifier

TOAST = "<toast/>"


def test_outside_of_a_block_nothing_shows_toasts() -> None:
    """The sentence says where they are shown."""
    with pytest.raises(IllegalCall, match=r"inside a tocsin.connect\(\) or tocsin.embedded\(\) block") as refused:
        current_notifier()
    assert refused.value.hresult == HResult.E_ILLEGAL_METHOD_CALL


async def test_code_in_an_embedded_block_finds_its_own(tmp_path: Path) -> None:
    """That of the innermost block, also in tasks that are started in it; behind the block there is none."""
    async with tocsin.embedded("contoso.mail", tmp_path / "a", "http://127.0.0.1:9") as mail:
        async with tocsin.embedded("contoso.chat", tmp_path / "b", "http://127.0.0.1:9") as chat:
            async with anyio.create_task_group() as tasks:

                async def started() -> None:
                    assert current_notifier() is chat.toasts

                tasks.start_soon(started)
            assert current_notifier() is chat.toasts
        assert current_notifier() is mail.toasts
    with pytest.raises(IllegalCall):
        current_notifier()


async def test_code_in_a_connected_block_finds_its_own(tmp_path: Path) -> None:
    """As in an embedded one."""
    async with agent(tmp_path) as w, tocsin.connect("contoso.mail", w.socket, command=("/bin/true",)) as manager:
        assert current_notifier() is manager.toasts


async def test_handlers_find_that_of_their_session(tmp_path: Path) -> None:
    """They run in tasks that were not started by the code of the block; a platform without a shell says so."""
    seen = Gathered()

    async def handler(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        try:
            await current_notifier().show(TOAST)
        except NotSupported as refused:
            seen.add(str(refused))

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"))
            await seen.wait_for(1)
    assert seen.items == ["this platform shows no toasts, tiles or badges: it was opened without a desktop"]
