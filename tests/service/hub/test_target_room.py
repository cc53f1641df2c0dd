"""Room for targets: bounded, in turn, and never lost."""

from __future__ import annotations

import asyncio

import pytest

from tocsin.service.hub.target_room import TargetRoom


async def test_room_is_given_in_the_order_in_which_it_was_asked_for() -> None:
    """Who wants little does not overtake who wants much."""
    room, order = TargetRoom(4), list[str]()

    async def take(name: str, count: int) -> None:
        await room.take(count)
        order.append(name)

    await room.take(3)
    async with asyncio.TaskGroup() as tasks:
        for name, count in (("much", 3), ("little", 1)):
            tasks.create_task(take(name, count))
        await asyncio.sleep(0)
        assert order == []
        room.give_back()
        await asyncio.sleep(0)
        assert order == []
        room.give_back(2)
    assert order == ["much", "little"]


@pytest.mark.parametrize("came", [False, True], ids=["before its turn", "as its turn comes"])
async def test_who_leaves_takes_no_room(came: bool) -> None:
    """Whether the turn had come already or not, and who waits behind it goes on."""
    room = TargetRoom(2)
    await room.take(2)
    leaving, behind = asyncio.create_task(room.take(2)), asyncio.create_task(room.take(1))
    await asyncio.sleep(0)
    if came:
        room.give_back(2)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    if not came:
        room.give_back()
    await behind
    room.give_back(1 if came else 2)
    await asyncio.wait_for(room.take(2), 1)
