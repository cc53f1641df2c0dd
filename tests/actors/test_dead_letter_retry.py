"""Dead letters that the user wants retried or dropped while the platform runs."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from attrs import evolve

from tests.helpers import PATIENCE, payload
from tests.world import Gathered, World, dead_rows, handling, open_rows, world
from tocsin.persistence.sqlite_store import read_sqlite
from tocsin.protocol.errors import InvalidArgument, NotFound
from tocsin.protocol.toast_label import LabelText


async def die(w: World, *ids: str) -> None:
    """Let payloads of the channel end unhandled, having expired."""
    await w.service.send(*(payload(id_, expires=1.0) for id_ in ids))
    await w.service.expect_acknowledged(*ids)


async def test_a_payload_that_is_retried_is_handled_behind_those_that_wait(tmp_path: Path) -> None:
    """It keeps its id, its attempts go on to count, and it is no dead letter any more."""
    async with world(tmp_path) as w:
        channel = await w.channel()
        await die(w, "late")
        await w.service.send(payload("waits"))
        await w.service.expect_acknowledged("waits")
        assert await w.platform.operator_desk.settle_dead_letter("la", retry=True) == "late"
        seen = Gathered()
        with channel.push_received(handling(seen)):
            await seen.wait_for(2)
        assert seen.items == [("waits", 1), ("late", 1)]
    assert (await dead_rows(tmp_path), await open_rows(tmp_path)) == ([], [])
    async with read_sqlite(tmp_path / "platform.db") as store:
        assert await store.dead_letter_counts() == {}


async def test_it_goes_to_a_handler_that_is_there_and_counts_each_time(tmp_path: Path) -> None:
    """What a handler has left unhandled three times comes with the fourth attempt, and has its tag and group still."""
    seen = Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(lambda args: seen.add((args.tag, args.group, args.attempt))):
            await w.service.send(evolve(payload("A"), label=LabelText("t/g!")))
            await seen.wait_for(1)
            for attempt in (2, 3, 4):
                await _until_dead(w, "A")
                await w.platform.operator_desk.settle_dead_letter("A", retry=True)
                await seen.wait_for(attempt)
    assert seen.items == [("t", "g", attempt) for attempt in (1, 2, 3, 4)]


async def test_its_id_is_remembered_as_that_of_a_new_arrival(tmp_path: Path) -> None:
    """A service that sends it again is answered, and the payload comes once: before and after a restart."""
    async with world(tmp_path) as w:
        await w.channel()
        await die(w, "late")
        await w.platform.operator_desk.settle_dead_letter("late", retry=True)
        await w.service.send(payload("late"))
        await w.service.expect_acknowledged("late")
    async with world(tmp_path) as w:
        await w.service.send(payload("late"))
        await w.service.expect_acknowledged("late")
    assert len(await open_rows(tmp_path)) == 1


async def test_a_payload_that_is_dropped_stays_counted(tmp_path: Path) -> None:
    """It is listed no more."""
    async with world(tmp_path) as w:
        await w.channel()
        await die(w, "late", "later")
        assert await w.platform.operator_desk.settle_dead_letter("late", retry=False) == "late"
    assert [id_ for id_, _, _ in await dead_rows(tmp_path)] == ["later"]
    async with read_sqlite(tmp_path / "platform.db") as store:
        assert await store.dead_letter_counts() == {"expired": 2}


async def test_what_cannot_be_done_is_refused_in_words(tmp_path: Path) -> None:
    """A letter that is not there, one of several, one whose channel is gone; nothing has changed then."""
    async with world(tmp_path) as w:
        await w.channel()
        await die(w, "late-1", "late-2")
        await w.service.send(payload("lost", channel="gone"))
        await w.service.expect_acknowledged("lost")
        desk = w.platform.operator_desk
        with pytest.raises(NotFound, match="no dead letter has the id 'x'"):
            await desk.settle_dead_letter("x", retry=True)
        with pytest.raises(InvalidArgument, match="several dead letters begin with 'late'"):
            await desk.settle_dead_letter("late", retry=False)
        with pytest.raises(InvalidArgument, match="not by an empty text"):
            await desk.settle_dead_letter("", retry=False)
        with pytest.raises(NotFound, match="the channel of 'lost' is gone"):
            await desk.settle_dead_letter("lost", retry=True)
    assert [id_ for id_, _, _ in await dead_rows(tmp_path)] == ["late-1", "late-2", "lost"]


async def _until_dead(w: World, id_: str) -> None:
    """Wait until a payload is a dead letter."""
    store = w.platform.operator_desk._store
    with anyio.fail_after(PATIENCE):
        while await store.dead_letter(id_) is None:
            await anyio.lowlevel.checkpoint()
