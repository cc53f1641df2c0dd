"""A node as it is opened: what it says of its settings."""

from __future__ import annotations

import logging

import pytest

from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.registry.memory_service_store import MemoryServiceStore
from tocsin.protocol.service.nodes.lease_row import Joining
from tocsin.protocol.service.offline_queue import Depths
from tocsin.repeat_log import RepeatLog
from tocsin.service.nodes.node import Shared, open_node
from tocsin.service.operations.settings import ServiceSettings
from tocsin.steady import steady

pytestmark = pytest.mark.anyio

UNREACHED = "no node on another machine reaches this one at 127.0.0.1:"


@pytest.mark.parametrize(
    ("host", "link_address", "alone", "said"),
    [
        ("0.0.0.0", "", False, True),  # noqa: S104  # nothing listens there in this test
        ("0.0.0.0", "", True, False),  # noqa: S104
        ("0.0.0.0", "10.0.0.7:7443", False, False),  # noqa: S104
        ("127.0.0.1", "", False, False),
    ],
)
async def test_a_link_that_only_this_machine_reaches_is_told(
    host: str, link_address: str, *, alone: bool, said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Where clients come from elsewhere, and there are other nodes: these may be elsewhere, too."""
    store = MemoryNodeStore(steady, 3.0)
    if not alone:
        await store.join(Joining("b", "run", "10.0.0.8:7443", "1.0"))
    shared = Shared("a", store, MemoryServiceStore(), steady)
    settings = ServiceSettings(host=host, insecure=True, link_address=link_address)
    caplog.set_level(logging.WARNING)
    async with open_node(shared, settings, Depths(), RepeatLog()):
        assert any(line.startswith(UNREACHED) for line in caplog.messages) is said
