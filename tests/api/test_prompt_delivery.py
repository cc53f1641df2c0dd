"""Payloads that the platform takes in the callback in which they come, on their way to the handlers of an app in the process."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from pathlib import Path

import anyio
import pytest

from tests.helpers import payload
from tests.protocol.frames import arrivals
from tests.world import Gathered, World, handling, world
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.embedded import local_session
from tocsin.api.manager import PushNotificationManager
from tocsin.mailbox import BATCH, Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import CancellationReason

PLACE: ContextVar[str] = ContextVar("PLACE", default="")


async def come(w: World, *messages: m.Message) -> bool:
    """Let messages come in a callback, and tell whether they were taken."""
    loop = asyncio.get_running_loop()
    taken = loop.create_future()
    loop.call_soon(lambda: taken.set_result(w.platform.deliver_now([(each, encode(each)) for each in messages])))
    return bool(await taken)


async def test_payloads_that_come_in_a_callback_are_handled_and_acknowledged(tmp_path: Path) -> None:
    """The first, for which a task is yet to be started, and those behind it."""
    seen = Gathered()
    async with world(tmp_path) as w:
        with (await w.channel()).push_received(handling(seen)):
            for number in range(3):
                assert await come(w, arrivals(payload(f"{number}"), payload(f"{number}b")))
                await seen.wait_for(2 * number + 2)
                assert await w.service.expect(m.Acknowledge) == m.Acknowledge((f"{number}", f"{number}b"))
    assert seen.items == [(f"{number}{letter}", 1) for number in range(3) for letter in ("", "b")]


async def test_what_is_more_than_payloads_is_left_to_be_delivered(tmp_path: Path) -> None:
    """Several messages, another message, and any once the platform stops; of a router that is full nothing is asked either."""
    batch = arrivals(payload("A"))
    async with world(tmp_path) as w:
        await w.channel()
        assert not await come(w, batch, batch)
        assert not await come(w, m.ChannelsRevoked(0, ("c2",)))
        router = w.platform.actors["payload_router"].mailbox
        router._capacity, capacity = 0, router._capacity
        assert not await come(w, batch)
        router._capacity = capacity
        assert await come(w, batch)
    assert not w.platform.deliver_now([(batch, encode(batch))])


async def test_a_handler_has_the_context_of_its_session(tmp_path: Path) -> None:
    """Not that of what has brought its payload, in whatever task or callback that was."""
    seen = Gathered()

    def handler(args: PushNotificationReceivedEventArgs) -> None:
        seen.add((args.id, PLACE.get()))
        args.handled = True

    async with world(tmp_path) as w:
        token = PLACE.set("the session's")
        async with local_session(w.platform, "contoso.mail") as session:
            PLACE.set("another")
            manager = PushNotificationManager(session, "contoso.mail", None)
            operation = manager.create_channel("f80e541e-3606-48fb-935e-118a3c5f41f4")
            await w.service.grant("c1")
            channel = (await operation).channel
            assert channel is not None
            with channel.push_received(handler):
                assert await come(w, arrivals(payload("A")))
                await seen.wait_for(1)
                assert w.platform.deliver_now([(arrivals(payload("B")), encode(arrivals(payload("B"))))])
                await seen.wait_for(2)
        PLACE.reset(token)
    assert seen.items == [("A", "the session's"), ("B", "the session's")]


@pytest.mark.parametrize("count", [1, 3])
async def test_what_else_comes_to_a_session_in_a_callback_is_left_to_its_task(tmp_path: Path, count: int) -> None:
    """Where it stands before or behind payloads too: the session takes all of it in its order."""
    seen = Gathered()
    async with world(tmp_path) as w:
        with (await w.channel()).push_received(handling(seen)):
            (name,) = w.platform.sessions.names()
            mailbox: Mailbox = w.platform.sessions._mailboxes[name]

            def tell() -> None:
                for number in range(count):
                    rows = (m.PayloadRow(100 + number, f"{number}", "raw", b"", 1, None, "c1"),)  # type: ignore[arg-type]  # as it comes
                    mailbox.send_nowait(m.Deliveries("contoso.mail", rows))
                    mailbox.send_urgent(m.CancelDelivery(1, CancellationReason.ABORT))

            asyncio.get_running_loop().call_soon(w.platform.kernel.line.lead, tell)
            await seen.wait_for(count)
            await anyio.wait_all_tasks_blocked()
            assert not mailbox.depth
    assert seen.items == [(f"{number}", 1) for number in range(count)]


async def test_what_is_more_than_a_batch_in_one_turn_is_left_to_the_session_s_task(tmp_path: Path) -> None:
    """None of it waits for what may never come."""
    seen = Gathered()
    async with world(tmp_path) as w:
        with (await w.channel()).push_received(handling(seen)):
            (name,) = w.platform.sessions.names()
            mailbox: Mailbox = w.platform.sessions._mailboxes[name]

            def tell() -> None:
                for number in range(BATCH + 2):
                    rows = (m.PayloadRow(100 + number, f"{number}", "raw", b"", 1, None, "c1"),)  # type: ignore[arg-type]  # as it comes
                    mailbox.send_nowait(m.Deliveries("contoso.mail", rows))

            w.platform.kernel.line.lead(tell)
            await seen.wait_for(BATCH + 2)
    assert seen.items == [(f"{number}", 1) for number in range(BATCH + 2)]
