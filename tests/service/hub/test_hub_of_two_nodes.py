"""A hub of a service with two nodes: whichever is asked, and wherever its devices are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from tests.helpers import PATIENCE
from tests.persistence.postgres_server import PostgresServer
from tests.service.hub.hub_world import HubWorld, connected, open_hub
from tests.service.hub.test_sending import KEYS, details, id_of
from tocsin.service.operations.settings import ServiceSettings


@pytest.fixture
async def nodes(tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[list[HubWorld]]:
    """Run two nodes with a hub."""
    url = await postgres.emptied()
    settings = ServiceSettings.private(engine=url)  # each is asked at its own address

    @asynccontextmanager
    async def node(name: str) -> AsyncIterator[HubWorld]:
        folder = tmp_path / name
        folder.mkdir()
        async with open_hub(folder, settings) as hub:
            yield hub

    async with node("one") as one, node("other") as other:
        yield [one, other]


async def test_all_devices_have_it(nodes: list[HubWorld]) -> None:
    """Each once, and any node tells what became of it."""
    one, other = nodes
    with anyio.fail_after(PATIENCE):
        async with connected(one, KEYS[0]) as (first, uri), connected(other, KEYS[1]) as (second, other_uri):
            for node, each in ((one, other_uri), (other, uri)):
                assert (await node.register(each, "a")).status == 200
            for node in nodes:
                id_ = id_of(await node.send(b"hello", "a"))
                assert [(await device.acknowledge()).body for device in (first, second)] == [b"hello"] * 2
                for asked in nodes:
                    assert "<Name>Success</Name><Count>2</Count>" in await details(asked, id_, "Completed")
            assert first.waiting() == second.waiting() == 0
