"""What tests of shared queues share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.service.nodes.shared_world import World, opened


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Open two nodes."""
    async with opened() as world:
        yield world
