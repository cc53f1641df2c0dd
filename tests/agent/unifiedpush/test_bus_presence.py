"""The distributor's name on a bus that is shared, goes, or comes late."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import anyio
import pytest

from tests.agent.unifiedpush.served import CHAT, TOKEN, Served, served, until_owned
from tests.e2e.desktops.bus import connected
from tocsin.agent.unifiedpush import bus_presence
from tocsin.protocol.unifiedpush.connector_registration import Phase
from tocsin.protocol.unifiedpush.names import DISTRIBUTOR

pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="needs dbus-daemon")


@pytest.fixture
def anyio_backend() -> str:
    """Sockets and SQLite: on asyncio."""
    return "asyncio"


async def until(s: Served, phase: Phase) -> None:
    """Wait until the registration is in a phase, and that is written down."""
    while s.store.rows[TOKEN].phase is not phase:  # noqa: ASYNC110  # it gets there in its own time
        await anyio.sleep(0.005)


async def test_a_second_agent_gets_the_name_when_the_first_has_ended(
    tmp_path: Path, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Which it says, once."""
    caplog.set_level(logging.WARNING)
    async with connected(address) as other:
        await other.request_name(DISTRIBUTOR)
        async with served(tmp_path, address) as s:
            while s.distributor.report()["bus"] != bus_presence.QUEUED:  # noqa: ASYNC110  # it asks in its own time
                await anyio.sleep(0.005)
            await other.release_name(DISTRIBUTOR)
            while s.distributor.report()["bus"] != bus_presence.OWNED:  # noqa: ASYNC110  # as above
                await anyio.sleep(0.005)
            await s.registered()
    assert [each.getMessage() for each in caplog.records] == [f"UnifiedPush: {bus_presence.QUEUED}"]


async def test_it_comes_back_with_the_bus(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is there again, and apps that went meanwhile are found out."""
    monkeypatch.setattr(bus_presence, "FIRST_PAUSE", 0.01)
    async with served(tmp_path, address) as s:
        await until_owned(s)
        await s.registered()
        s.distributor._presence.bus._bus.disconnect()
        await s.bus.release_name(CHAT)
        await until(s, Phase.WAITING)
        await until_owned(s)
        await s.bus.request_name(CHAT)
        await until(s, Phase.REGISTERED)


async def test_without_a_bus_it_waits_for_one(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As an agent does that has started before the desktop: the log says it once."""
    monkeypatch.setattr(bus_presence, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(bus_presence, "LONGEST_PAUSE", 0.01)
    found: list[str | None] = [None] * 5
    monkeypatch.setattr("tocsin.bus_connection.session_address", lambda: found.pop(0) if found else address)
    async with served(tmp_path, None, address) as s:
        await until_owned(s)
    assert len(caplog.records) == 1
