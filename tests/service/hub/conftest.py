"""What the tests of hubs share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.service.hub.hub_world import HubWorld, open_hub


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HubWorld]:
    """Run one service with a hub for all tests of a module."""
    async with open_hub(tmp_path_factory.mktemp("hub")) as hub:
        yield hub
