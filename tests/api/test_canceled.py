"""``canceled`` handlers are called to their end, early or late; and attached handlers can be taken back."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.api.hostile import Args
from tests.helpers import payload
from tests.world import Gathered, dead_rows, open_rows, world
from tocsin.protocol import messages as m
from tocsin.protocol.errors import InvalidArgument, NotFound
from tocsin.protocol.platform.activation import CancellationReason


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("place", ["loop", "thread"])
async def test_each_canceled_handler_is_called_to_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, place: str, *, late: bool, is_async: bool, fails: bool
) -> None:
    """Attached before the cancellation or after it, in the loop or in a thread; what it raises is logged, and ends nothing."""
    told = Gathered()

    def at_once(reason: CancellationReason) -> None:
        told.add(reason)
        if fails:
            raise ValueError("at the end")

    async def after_a_wait(reason: CancellationReason) -> None:
        await checkpoint()
        at_once(reason)

    async def attach(args: Args) -> None:
        chosen = after_a_wait if is_async else at_once
        if place == "thread":
            await anyio.to_thread.run_sync(args.canceled, chosen)
        else:
            args.canceled(chosen)

    async def handler(args: Args) -> None:
        if not late:
            await attach(args)
        w.platform.sessions.send_to_all(m.CancelDelivery(args._sequence, CancellationReason.ABORT))
        while args.cancellation is None:
            await checkpoint()
        if late:
            await attach(args)
        await told.wait_for(1)
        args.handled = True

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"))
            await told.wait_for(1)
    assert told.items == [CancellationReason.ABORT]
    assert [("ValueError: at the end" in record.getMessage()) for record in caplog.records] == [True] * fails
    assert await dead_rows(tmp_path) == []
    assert await open_rows(tmp_path) == []


@pytest.mark.parametrize("late", [False, True])
async def test_leaving_waits_for_canceled_handlers(tmp_path: Path, *, late: bool) -> None:
    """They have the time to finish that handlers have, though the handler that was cancelled has returned."""
    begun, told = Gathered(), Gathered()

    async def tidy(reason: CancellationReason) -> None:
        await anyio.wait_all_tasks_blocked()
        told.add(reason)

    async def handler(args: Args) -> None:
        if not late:
            args.canceled(tidy)
        begun.add(args)
        while args.cancellation is None:
            await checkpoint()
        if late:
            args.canceled(tidy)

    async with world(tmp_path) as w:
        channel = await w.channel()
        channel.add_push_received(handler)
        await w.service.send(payload("A"))
        await begun.wait_for(1)
    assert told.items == [CancellationReason.TERMINATING]
    (args,) = begun.items
    assert isinstance(args, Args)
    args.canceled(tidy)  # the app has left: nothing is called, and nothing raised
    await anyio.wait_all_tasks_blocked()
    assert told.items == [CancellationReason.TERMINATING]


class Listener:
    """An app's object with a handler."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def on(self, what: object) -> None:
        """Note it."""
        self.told.append(what)


@pytest.mark.parametrize("by", ["token", "handler"])
async def test_canceled_handlers_can_be_taken_back(tmp_path: Path, by: str) -> None:
    """By token or by itself, of two equal ones the latest; what is not attached is refused in words."""
    kept, removed, done = Listener(), Listener(), Gathered()

    async def handler(args: Args) -> None:
        args.canceled(kept.on)
        token = args.canceled(removed.on)
        args.remove_canceled(token if by == "token" else removed.on)
        for wanted, words in (
            (token, "no handler of these args has the token 2"),
            (removed.on, "not attached to these args"),
        ):
            with pytest.raises(NotFound, match=words):
                args.remove_canceled(wanted)
        for odd in (None, "handler", True, 1.0):
            with pytest.raises(InvalidArgument, match="removed by itself or by its token"):
                args.remove_canceled(odd)  # type: ignore[arg-type]  # it is wrong on purpose
        w.platform.sessions.send_to_all(m.CancelDelivery(args._sequence, CancellationReason.ABORT))
        while not kept.told:
            await checkpoint()
        args.remove_canceled(kept.on)
        args.handled = True
        done.add(args.id)

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"))
            await done.wait_for(1)
    assert (kept.told, removed.told) == ([CancellationReason.ABORT], [])
    assert await dead_rows(tmp_path) == []


async def test_push_handlers_can_be_taken_back_by_themselves(tmp_path: Path) -> None:
    """Of one that is attached twice, the latest; what is not attached is refused in words."""
    listener, order = Listener(), Gathered()

    def first(args: Args) -> None:
        order.add(("first", args.id))

    def second(args: Args) -> None:
        order.add(("second", args.id))
        args.handled = True

    async with world(tmp_path) as w:
        channel = await w.channel()
        for each in (first, listener.on, second, first):
            channel.add_push_received(each)
        channel.remove_push_received(first)
        channel.remove_push_received(listener.on)
        with pytest.raises(NotFound, match="that handler is not attached to this channel"):
            channel.remove_push_received(listener.on)
        with pytest.raises(InvalidArgument, match="removed by itself or by its token"):
            channel.remove_push_received(None)  # type: ignore[arg-type]  # it is wrong on purpose
        await w.service.send(payload("A"))
        await order.wait_for(2)
    assert order.items == [("first", "A"), ("second", "A")]
    assert listener.told == []
