"""What the tests of the database share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.persistence.files import (
    FIRST,
    opening,
)
from tocsin.persistence.database import Database


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a database that is not there yet."""
    return tmp_path / "app.db"


@pytest.fixture
async def opened(path: Path) -> AsyncIterator[Database]:
    """Open a database with one table of numbers, which holds the 1."""
    async with opening(path, FIRST) as opened:
        yield opened
