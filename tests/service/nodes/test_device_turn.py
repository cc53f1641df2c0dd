"""A device's turn: only one task has it, and what it has begun and not waited for is not known."""

from __future__ import annotations

import asyncio

import pytest

from tests.service.nodes.gathered_world import KEYS, GatheredWorld, pass_by, play
from tests.service.nodes.queue_world import channel_of, device_of, payload_of
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.nodes.device_row import RowChange

DEVICE = device_of(KEYS[0])


class TestTurn:
    """A device's turn by itself."""

    def test_there_is_one(self) -> None:
        """Another is had when it ends; and not while a task waits that came before."""

        async def test(world: GatheredWorld) -> None:
            turn = world.queues.take_turn(DEVICE)
            assert turn is not None
            assert world.queues.take_turn(KEYS[1]) is not None
            looking = asyncio.create_task(world.queues.look(DEVICE))
            await pass_by(1)
            turn.end()
            assert world.queues.take_turn(DEVICE) is None
            await looking
            turn = world.queues.take_turn(DEVICE)
            assert turn is not None
            assert turn.is_current
            turn.end()
            assert world.queues._known.get(DEVICE) is not None

        play(test)

    @pytest.mark.parametrize("is_told", [True, False])
    def test_one_that_ends_before_it_has_stored(self, is_told: bool) -> None:
        """What is written goes on or not; the device is read before more is decided from it."""

        async def test(world: GatheredWorld) -> None:
            turn = world.queues.take_turn(DEVICE)
            assert turn is not None
            turn.begin_look()
            await turn.looked()
            assert await turn.begin_store([(channel_of(KEYS[0]), payload_of(KEYS[0], "1"))], frozenset(), None) is None
            assert turn.is_current
            if is_told:
                (kept,) = await turn.stored()
                assert isinstance(kept, RowChange)
                assert turn.row == kept.row
            turn.end()
            await asyncio.sleep(1)
            assert world.stored() == (["1"] if is_told else [])
            assert (world.queues.known(DEVICE) is not None) == is_told
            assert world.queues._changes.kept.total == int(is_told)

        play(test)

    def test_what_is_not_waited_for_fails_for_none(self) -> None:
        """A database that is gone by then leaves nothing to be logged."""

        async def test(world: GatheredWorld) -> None:
            turn = world.queues.take_turn(DEVICE)
            assert turn is not None
            turn.begin_look()
            await pass_by(1)
            world.store.gone = True
            turn.end()
            await asyncio.sleep(1)

        play(test)

    def test_one_for_which_another_device_has_failed(self) -> None:
        """It is not tried, and what is known of it stays so."""

        async def test(world: GatheredWorld) -> None:
            turn = world.queues.take_turn(DEVICE)
            assert turn is not None
            turn.begin_look()
            await turn.looked()
            failure = StateUnavailable("no numbers")
            posts = [(channel_of(KEYS[0]), payload_of(KEYS[0], each)) for each in "12"]
            assert await turn.begin_store(posts, frozenset(), failure) is failure
            assert [*map(str, await turn.stored())] == ["NotKept.FAILED"] * 2
            turn.end()
            assert world.queues.known(DEVICE) is not None
            assert world.asked() == {"look": 1}

        play(test)
