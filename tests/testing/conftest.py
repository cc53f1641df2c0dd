"""The fixture under test, imported, so that it is there also where the package is not installed; and a twin in the test's own loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout

from tests.testing.controlling import Control
from tocsin.pytest_plugin import wns
from tocsin.service.operations.settings import ServiceSettings
from tocsin.testing.development import open_development

__all__ = ["control", "wns"]


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[Control]:
    """Run a twin for development in this event loop."""
    async with (
        open_development(tmp_path, ServiceSettings()) as twin,
        ClientSession(timeout=ClientTimeout(20)) as http,
    ):
        yield Control(http, twin.service.url, twin)
