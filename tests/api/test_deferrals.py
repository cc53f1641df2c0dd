"""Deferrals: in other threads, and where a handler fails."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import anyio
import pytest

from tests.api.hostile import Args
from tests.helpers import payload
from tests.world import Gathered, dead_rows, world
from tocsin.api.deferral import Deferral
from tocsin.protocol import messages as m


async def test_a_deferral_may_be_completed_in_another_thread(tmp_path: Path) -> None:
    """The payload ends then, and not only when something else happens in the event loop."""
    begun = threading.Event()
    ended = Gathered()

    def handler(args: Args) -> None:
        args.handled = True
        if args.id == "A":
            thread = threading.Thread(target=complete, args=(args.get_deferral(),))
            thread.start()
        ended.add(args.id)

    def complete(deferral: Deferral) -> None:
        begun.wait()
        deferral.complete()

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"), payload("B"))
            await ended.wait_for(1)
            await anyio.wait_all_tasks_blocked()
            assert ended.items == ["A"]
            selecting = asyncio.get_running_loop().time()
            asyncio.get_running_loop().call_later(0.05, begun.set)
            await ended.wait_for(2)
            assert asyncio.get_running_loop().time() - selecting < 5


async def test_a_failure_ends_the_deferrals_of_its_handler(tmp_path: Path) -> None:
    """It is the reason at once: what the handler has left open it may never complete."""
    seen = Gathered()

    def handler(args: Args) -> None:
        seen.add(args.id)
        args.get_deferral()
        raise ValueError("no such mail")

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"), payload("B"))
            await seen.wait_for(2)
    assert await dead_rows(tmp_path) == [(id_, "handler_failed", "ValueError: no such mail") for id_ in "AB"]


@pytest.mark.parametrize("handles", [True, False])
async def test_a_failure_leaves_the_deferrals_of_other_handlers(tmp_path: Path, handles: bool) -> None:
    """Their work goes on, and may still handle the payload."""
    taken: list[tuple[Args, Deferral]] = []
    failed, seen = Gathered(), Gathered()

    def first(args: Args) -> None:
        if args.id == "B":
            seen.add(args.id)
            args.handled = True
        else:
            taken.append((args, args.get_deferral()))

    def second(args: Args) -> None:
        if args.id == "A":
            args.get_deferral()
            failed.add(args.id)
            raise ValueError("no such mail")

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(first), channel.push_received(second):
            await w.service.send(payload("A"), payload("B"))
            await failed.wait_for(1)
            await anyio.wait_all_tasks_blocked()
            assert not seen.items
            ((args, deferral),) = taken
            args.handled = handles
            deferral.complete()
            await seen.wait_for(1)
    dead = [] if handles else [("A", "handler_failed", "ValueError: no such mail")]
    assert await dead_rows(tmp_path) == dead


async def test_a_failure_is_told_with_what_was_cut_off_behind_it(tmp_path: Path) -> None:
    """Where another handler's deferral is never completed, both are said."""
    failed = Gathered()

    def first(args: Args) -> None:
        args.get_deferral()

    def second(args: Args) -> None:
        failed.add(args.id)
        raise ValueError("no such mail")

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(first), channel.push_received(second):
            await w.service.send(payload("A"))
            await failed.wait_for(1)
            w.platform.sessions.send_to_all(m.AbortDelivery(1))
            await w.service.expect_acknowledged("A")
            await anyio.wait_all_tasks_blocked()
    ((_, reason, detail),) = await dead_rows(tmp_path)
    assert reason == "handler_failed"
    assert detail.startswith("ValueError: no such mail; a deferral taken by ")
