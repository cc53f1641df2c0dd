"""An app is removed from an agent: what runs, what waits, and what is kept of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.agent.world import PATIENCE, World, world
from tocsin import Activators, PlatformUnavailable, PushNotificationActivationInfo
from tocsin import PushNotificationReceivedEventArgs as Args
from tocsin.persistence.sqlite_store import read_sqlite
from tocsin.persistence.store import DeadLetter
from tocsin.protocol.errors import PushError
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.platform.conditions import AppSettings
from tocsin.transport.control_socket import Answer, ask

BACKGROUND = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR)


@pytest.fixture
def anyio_backend() -> str:
    """Sockets and SQLite: on asyncio."""
    return "asyncio"


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    """Run an agent."""
    async with world(tmp_path) as found:
        yield found


async def forget(folder: Path, app: str) -> Answer | None:
    """Ask for it as the command does."""
    with anyio.fail_after(PATIENCE):
        return await ask(folder / "state", {"verb": "forget", "app": app})


async def dead(folder: Path, number: int) -> list[DeadLetter]:
    """Wait for so many dead letters."""
    with anyio.fail_after(PATIENCE):
        while True:
            async with read_sqlite(folder / "state" / "platform.db") as store:
                if len(letters := await store.dead_letters(10)) >= number:
                    return letters


class Work:
    """Background work that goes on until it is cancelled."""

    def __init__(self, *, ends: bool = True) -> None:
        self.reasons: list[CancellationReason] = []
        self.begun = anyio.Event()
        self._canceled = anyio.Event()
        self._ends = ends

    def _cancel(self, reason: CancellationReason) -> None:
        self.reasons.append(reason)
        self._canceled.set()

    async def __call__(self, args: Args) -> None:
        """Work on a payload."""
        args.canceled(self._cancel)
        self.begun.set()
        await (self._canceled.wait() if self._ends else anyio.sleep_forever())


async def test_its_work_ends_and_what_waits_is_a_dead_letter(w: World, tmp_path: Path) -> None:
    """What runs is told and may end in order; nothing is left of the app, and everything of another one."""
    work = Work()
    async with w.connect("mail") as manager, w.connect("chat") as other:
        kept = await w.channel(other)
        await other.register_activator(BACKGROUND, lambda _: None)
        channel = await w.channel(manager)
        await manager.register_activator(BACKGROUND, work)
        await w.push(manager, channel, b"1", b"2", b"3")
        await work.begun.wait()
        found = await forget(tmp_path, "mail")
        assert found == {"channels": 1, "requests": 0, "activators": 1, "sessions": 1}
        assert work.reasons == [CancellationReason.UNINSTALL]
        letters = await dead(tmp_path, 2)
        assert sorted((each.app, each.body, each.reason) for each in letters) == [
            ("mail", b"2", "uninstall"),
            ("mail", b"3", "uninstall"),
        ]
        async with read_sqlite(tmp_path / "state" / "platform.db") as store:
            assert [each.app for each in await store.channels()] == ["chat"]
            assert [each.app for each in await store.activators()] == ["chat"]
        assert (await w.channel(other)).uri == kept.uri


async def test_its_processes_are_told_and_do_not_come_back(w: World, tmp_path: Path) -> None:
    """What they ask fails, with the reason; a process that connects anew registers the app again."""
    async with w.connect("mail") as manager:
        channel = await w.channel(manager)
        channel.add_push_received(lambda _: None)
        await forget(tmp_path, "mail")
        with anyio.fail_after(PATIENCE):
            while manager.status().connection.connected:
                await anyio.lowlevel.checkpoint()
        assert "removed from this agent" in manager.status().connection.text
        for question in (manager.register_activator(BACKGROUND, lambda _: None), manager.unregister_all_activators()):
            with pytest.raises(PlatformUnavailable, match="tocsin agent forget"):
                await question
        assert manager.registration is not None
        with pytest.raises(PlatformUnavailable, match="tocsin agent forget"):
            await manager.create_channel(manager.registration.remote_id)
        assert w.agent.platform.sessions.names() == []
    async with w.connect("mail") as manager:
        assert (await w.channel(manager)).uri != channel.uri


async def test_what_the_user_has_decided_for_it_goes_too(w: World, tmp_path: Path) -> None:
    """When it comes again it begins as a new one does."""
    async with w.connect("mail") as manager:
        await manager.conditions.set_app(background=False)
        await forget(tmp_path, "mail")
    async with w.connect("mail") as manager:
        assert manager.conditions.settings == AppSettings()


async def test_an_agent_of_no_use_any_more_ends(w: World) -> None:
    """What was removed is noticed at once, though no session has come or gone."""
    async with w.connect("mail") as manager:
        await manager.register_activator(BACKGROUND)
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(w.agent.idle, 0.05)
            await anyio.sleep(0.2)
            assert await w.agent.platform.holders() == {"mail"}
            await w.agent.platform.forget("mail")


async def test_one_that_is_not_known_is_refused_in_words(w: World, tmp_path: Path) -> None:
    """And so is what is no name."""
    for name, words in (("unknown", "knows no app 'unknown'"), ("", "app.s name"), ("a\nb", "app.s name")):
        with pytest.raises(PushError, match=words):
            await forget(tmp_path, name)
    assert w.agent.platform.sessions.names() == []
