"""What is at work on one message at the same time, and messages that wait for their turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.service.hub.hub_world import RAW, HubWorld, connected, open_hub
from tests.service.hub.test_sending import KEYS, SOON, details, id_of
from tocsin.protocol.hub.rights import Right
from tocsin.protocol.messages import Acknowledge, Payload
from tocsin.service.hub import message_sending, target_pages
from tocsin.service.registry.hub_store import MessageRow
from tocsin.service.registry.sqlite_hub_store import SqliteHubStore


@pytest.fixture
async def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HubWorld]:
    """Run a service whose hub goes through one message at a time, target by target."""
    monkeypatch.setattr(message_sending, "MAX_MESSAGES", 1)
    monkeypatch.setattr(message_sending, "MAX_PAGES", 1)
    monkeypatch.setattr(target_pages, "PAGE", 1)
    async with open_hub(tmp_path) as hub:
        yield hub


async def test_a_channel_that_a_batch_names_twice_is_one_target(hub: HubWorld) -> None:
    """Also where it was done with when its name came again."""
    async with connected(hub, KEYS[0]) as (one, uri_one), connected(hub, KEYS[1]) as (two, uri_two):
        parts = (
            b"--b0\r\nContent-Disposition: inline; name=notification\r\n\r\nx"
            b"\r\n--b0\r\nContent-Disposition: inline; name=devices\r\n\r\n"
            + f'["{uri_one}", "{uri_two}", "{uri_one}"]'.encode()
            + b"\r\n--b0--\r\n"
        )
        headers = RAW | {"Content-Type": "multipart/mixed; boundary=b0"}
        id_ = id_of(await hub.ask("POST", "messages/$batch?direct", parts, right=Right.SEND, **headers))
        assert [(await device.acknowledge()).body for device in (one, two)] == [b"x"] * 2
        assert "<Name>Success</Name><Count>2</Count>" in await details(hub, id_, "Completed")
        assert one.waiting() == 0


async def test_what_is_cancelled_while_it_waits_for_its_turn_is_not_sent(
    hub: HubWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time has come, but another message has the only slot; the answer 200 to its DELETE holds."""
    found = anyio.Event()
    due_messages = SqliteHubStore.due_messages

    async def noticed(self: SqliteHubStore, now: float, limit: int) -> list[MessageRow]:
        rows = await due_messages(self, now, limit)
        if rows:
            found.set()
        return rows

    monkeypatch.setattr(SqliteHubStore, "due_messages", noticed)
    async with connected(hub, KEYS[0]) as (one, uri_one), connected(hub, KEYS[1]) as (two, uri_two):
        await hub.register(uri_one)
        await hub.register(uri_two)
        first = id_of(await hub.send(b"first"))
        held = await one.receive(Payload)
        hub.world.clock.time += 4.95
        later = id_of(await hub.ask("POST", "schedulednotifications", b"later", right=Right.SEND, **(RAW | SOON)))
        hub.world.clock.time += 1
        await found.wait()
        assert (await hub.ask("DELETE", f"schedulednotifications/{later}", right=Right.SEND)).status == 200
        await one.send(Acknowledge((held.id,)))
        assert (await two.acknowledge()).body == b"first"
        await details(hub, first, "Completed")
        last = id_of(await hub.send(b"last"))
        assert [(await device.acknowledge()).body for device in (one, two)] == [b"last"] * 2
        await details(hub, last, "Completed")
        await details(hub, later, "Cancelled")
