"""Many senders, one slow handler: everything arrives, in order, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import anyio
from anyio import to_thread

from tests.processes import Sender, sender
from tests.world import Gathered
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.embedded import embedded

SENDERS = 50
EACH = 10


async def push_in_order(server: Sender, name: int) -> None:
    """Push one sender's payloads, one after the other, and demand that each is received."""
    for number in range(EACH):
        status, headers = await server.push(f"{name} {number}".encode() + bytes(1000))
        assert (status, headers["x-wns-status"]) == (200, "received"), headers


async def test_a_slow_handler_loses_nothing_and_keeps_the_order(tmp_path: Path) -> None:
    """500 payloads from 50 connections all reach a handler that takes its time, in order per connection."""
    seen = Gathered()

    async def handler(args: PushNotificationReceivedEventArgs) -> None:
        await to_thread.run_sync(lambda: None)  # gives up the loop for as long as a thread needs
        seen.add(args.payload)
        args.handled = True

    async with embedded("contoso.mail", tmp_path) as manager:
        registration = manager.registration
        assert registration is not None
        result = await manager.create_channel(registration.remote_id)
        assert result.channel is not None
        first = {
            "uri": result.channel.uri,
            "token_url": registration.token_url,
            "client_id": registration.client_id,
            "client_secret": registration.client_secret,
        }
        with result.channel.push_received(handler):
            async with sender(first) as server, anyio.create_task_group() as tasks:
                for name in range(SENDERS):
                    tasks.start_soon(push_in_order, server, name)
            await seen.wait_for(SENDERS * EACH)
    bodies = [str(bytes(item).rstrip(b"\0"), "ascii") for item in seen.items if isinstance(item, bytes)]
    assert len(bodies) == len(set(bodies)) == SENDERS * EACH
    for name in range(SENDERS):
        numbers = [body.split()[1] for body in bodies if body.split()[0] == str(name)]
        assert numbers == [str(number) for number in range(EACH)]
