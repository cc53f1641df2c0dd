"""What the tests of the calling service share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.world import Clock
from tocsin.calling_service.sqlite_calling_store import SqliteCallingStore, open_calling_store


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands still."""
    return Clock()


@pytest.fixture
async def calling_store(tmp_path: Path) -> AsyncIterator[SqliteCallingStore]:
    """Open an empty store."""
    async with open_calling_store(tmp_path) as store:
        yield store
