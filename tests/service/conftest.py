"""What the service's tests share."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.service.world import Clock, World, open_world
from tocsin.protocol.service.offline_queue import Depths
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.registry.apps import Apps
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.service_store import ServiceStore
from tocsin.service.registry.sqlite_service_store import open_store


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Name the only loop that the web server and SQLite's threads know."""
    return "asyncio"


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Look for no garbage: what is in a cycle stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands still."""
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ServiceStore]:
    """Open an empty store."""
    async with open_store(tmp_path) as store:
        yield store


@pytest.fixture
async def registrations(store: ServiceStore, clock: Clock) -> Apps:
    """Give the registrations of an empty store."""
    return await Apps.load(store, clock)


@pytest.fixture
async def channels(store: ServiceStore, registrations: Apps, clock: Clock) -> Channels:
    """Give the channels of an empty store."""
    return Channels(store, registrations, "http://host:1", clock)


@pytest.fixture
async def offline(store: ServiceStore, clock: Clock) -> OfflineStore:
    """Give an offline store with nothing in it."""
    return await OfflineStore.load(store, Depths(), clock)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Run a service with an app, a token and a channel."""
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture(scope="module")
async def standing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Run one service for all tests of a module that only ask it something; its device is away."""
    async with open_world(tmp_path_factory.mktemp("state")) as world:
        yield world
