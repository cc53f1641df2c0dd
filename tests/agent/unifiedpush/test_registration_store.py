"""Registrations on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.agent.unifiedpush import registration_store
from tocsin.protocol.unifiedpush.connector_registration import ConnectorRegistration, Phase

CHAT, NEWS = "org.example.Chat", "org.example.News"
KEY = b"\x04" + bytes(64)


@pytest.fixture
def anyio_backend() -> str:
    """SQLite: on asyncio."""
    return "asyncio"


async def test_registrations_are_kept_in_a_private_file(tmp_path: Path) -> None:
    """As they were: tokens are secrets."""
    first = ConnectorRegistration("t", CHAT, 2, "a test", KEY, 1e9, Phase.WAITING, "http://push.test/p/c1", 1e9 + 1)
    second = ConnectorRegistration("u", NEWS, 1, "", None, 1e9 + 2, Phase.REGISTERING)
    async with registration_store.open_registrations(tmp_path) as store:
        await store.keep(second)
        await store.keep(first)
        await store.keep(second)
    async with registration_store.open_registrations(tmp_path) as store:
        assert await store.registrations() == [first, second]
        await store.forget(first)
        assert await store.registrations() == [second]
    assert (tmp_path / registration_store.NAME).stat().st_mode & 0o777 == 0o600
