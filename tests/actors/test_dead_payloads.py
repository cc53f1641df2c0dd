"""Payloads that ended unhandled do not gather for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.helpers import payload
from tests.world import World, world
from tocsin.persistence.sqlite_store import read_sqlite
from tocsin.persistence.store import DeadLetter
from tocsin.protocol.delivery.dead_letter_policy import PRUNE_AFTER, DeadLetterPolicy


@pytest.fixture
def anyio_backend() -> str:
    """Name the only loop that the store runs on."""
    return "asyncio"


@asynccontextmanager
async def running(state: Path, policy: DeadLetterPolicy | None = None) -> AsyncIterator[World]:
    """Run a platform with that policy."""
    async with world(state, dead_letters=policy) as w:
        yield w


async def kill(w: World, *ids: str) -> None:
    """Let payloads come that have expired."""
    await w.service.send(*(payload(each, expires=1.0) for each in ids))
    await w.service.expect_acknowledged(*ids)


async def looked_at(state: Path) -> tuple[list[DeadLetter], dict[str, int]]:
    """Return the dead letters, the newest first, and the counts."""
    async with read_sqlite(state / "platform.db") as store:
        return await store.dead_letters(10_000), await store.dead_letter_counts()


async def test_the_newest_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    """While it runs there are never more than the policy says and those that have come since it was looked."""
    ids = [f"p{number:03}" for number in range(PRUNE_AFTER + 10)]
    async with running(tmp_path, DeadLetterPolicy(keep=3)) as w:
        await w.channel()
        await kill(w, *ids[:PRUNE_AFTER])
        await kill(w, *ids[PRUNE_AFTER:])
    letters, counts = await looked_at(tmp_path)
    assert [letter.id for letter in letters] == ids[: -10 - 3 - 1 : -1]
    assert counts == {"expired": len(ids)}


async def test_a_start_lets_go_too(tmp_path: Path) -> None:
    """By default neither few nor young ones; with a policy those that are too many or too old."""
    async with running(tmp_path) as w:
        await w.channel()
        await kill(w, "a", "b", "c")
    for policy, left in (
        (None, ["c", "b", "a"]),
        (DeadLetterPolicy(keep=2), ["c", "b"]),
        (DeadLetterPolicy(days=1e-9), []),
    ):
        async with running(tmp_path, policy):
            pass
        letters, counts = await looked_at(tmp_path)
        assert [letter.id for letter in letters] == left
        assert counts == {"expired": 3}
