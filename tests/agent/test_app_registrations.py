"""The registrations of apps at the agent's own push service are bounded: those of no use give way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.agent.world import World, world
from tocsin import Activators, Busy, PushError, PushNotificationActivationInfo
from tocsin.agent import app_registrations
from tocsin.agent.open_agent import open_agent
from tocsin.transport.control_socket import ask

TRIGGER = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR)


@pytest.fixture
def anyio_backend() -> str:
    """Sockets and SQLite: on asyncio."""
    return "asyncio"


@pytest.fixture
async def w(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Run an agent that registers three apps."""
    monkeypatch.setattr(app_registrations, "MAX_APPS", 3)
    async with world(tmp_path) as found:
        yield found


def registered(w: World) -> set[str]:
    """Return the apps that the agent's push service knows."""
    assert w.agent.service is not None
    return w.agent.service.apps()


async def test_what_holds_nothing_and_has_no_session_gives_way(w: World) -> None:
    """A channel, a trigger or a session keeps its app; an app that comes again is registered again."""
    async with w.connect("channel") as manager:
        await w.channel(manager)
    async with w.connect("trigger") as manager:
        await manager.register_activator(TRIGGER, print)
    for app in ("first", "second", "first"):
        async with w.connect(app) as manager:
            assert manager.registration is not None
            assert registered(w) == {"channel", "trigger", app}
            channel = await w.channel(manager)  # by a registration that is good
            async with w.connect("trigger"):
                assert registered(w) == {"channel", "trigger", app}
            await channel.close()


async def test_the_command_is_answered_about_them(w: World, tmp_path: Path) -> None:
    """As a push service answers it; an app that comes then has what is good: the newest secret, or other ids."""
    state = tmp_path / "state"
    async with w.connect("contoso.mail") as manager:
        channel = await w.channel(manager)
        rotated = await ask(state, {"verb": "rotate", "name": "contoso.mail"})
        assert rotated is not None
        async with w.connect("contoso.mail") as other:
            assert other.registration is not None
            assert other.registration.client_secret == rotated["client_secret"]
        await w.push(manager, channel, b"by the secret from before")
        assert await ask(state, {"verb": "remove", "name": "contoso.mail"}) == {"removed": "contoso.mail"}
    async with w.connect("contoso.mail") as again:
        assert again.registration is not None
        assert again.registration.client_id != rotated["client_id"]
        await w.channel(again)
        listed = await ask(state, {"verb": "list", "name": ""})
        assert listed is not None
        assert [each["client_id"] for each in listed["apps"]] == [again.registration.client_id]
    told = await ask(state, {"verb": "status"})
    assert told is not None
    assert told["counters"]["received"] == 1


async def test_an_agent_of_another_service_says_whom_to_ask(tmp_path: Path) -> None:
    """Since that has the registrations."""
    async with open_agent(tmp_path / "state", tmp_path / "agent.sock", "http://127.0.0.1:9"):
        with pytest.raises(
            PushError, match=r"apps and hubs are registered with its push service, http://127\.0\.0\.1:9"
        ):
            await ask(tmp_path / "state", {"verb": "list", "name": ""})


async def test_where_each_is_of_use_one_more_is_refused_in_words(w: World) -> None:
    """It is let in as soon as another has gone."""
    async with AsyncExitStack() as stack:
        for app in ("one", "two", "three"):
            await stack.enter_async_context(w.connect(app))
        with pytest.raises(Busy, match=r"3 apps hold .* the agent takes no more until one of them lets go"):
            async with w.connect("four"):
                pass
        async with w.connect("two"):
            pass
    async with w.connect("four"):
        assert "four" in registered(w)
