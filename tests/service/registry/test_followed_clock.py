"""Nodes that share a store go by its clock."""

from __future__ import annotations

import time

import anyio
import pytest

from tests.persistence.postgres_server import PostgresServer
from tocsin.protocol.errors import StateUnavailable
from tocsin.service.registry import followed_clock as module
from tocsin.service.registry.followed_clock import followed_clock
from tocsin.service.registry.postgres_service_store import open_postgres_store


async def test_the_time_is_the_databases(postgres: PostgresServer) -> None:
    """To the microseconds that its answer takes."""
    async with open_postgres_store(await postgres.emptied()) as store, followed_clock(store.time) as now:
        before = time.time()
        assert abs(now() - before) < 1
        assert now() <= now()


async def test_it_goes_on_while_it_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """And follows again after that, by steady steps."""
    steady = 0.0
    answers: list[float | None] = [1_000.0, None, 1_100.0]
    heard = 0

    def steadily() -> float:
        return steady

    async def ask() -> float:
        nonlocal heard, steady
        heard += 1
        steady += 10.0
        answer = answers.pop(0) if answers else 1_000.0 + steady
        if answer is None:
            raise StateUnavailable("planted")
        return answer

    monkeypatch.setattr(module, "steady", steadily)
    monkeypatch.setattr(module, "ASK_EVERY", 0.001)
    async with followed_clock(ask) as now:
        first = now()
        assert first == 1_005.0
        while heard < 5:
            before = now()
            await anyio.sleep(0.001)
            assert now() >= before


async def test_what_cannot_be_asked_at_first_is_told() -> None:
    """A node without the time serves nothing."""

    async def ask() -> float:
        raise StateUnavailable("planted")

    with pytest.raises(StateUnavailable, match="planted"):
        async with followed_clock(ask):
            raise AssertionError
