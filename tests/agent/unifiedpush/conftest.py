"""A bus for the tests of the distributor that need one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.desktops.bus import session_bus


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """Run a bus."""
    async with session_bus(tmp_path) as found:
        yield found
