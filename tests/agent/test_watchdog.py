"""What a service manager hears of an agent that is well, and of one that is not, on virtual time."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import anyio
import pytest
import trio.testing

from tocsin.actors.actor_runner import Kernel
from tocsin.actors.clock import LoopClock
from tocsin.actors.topology import Platform
from tocsin.agent.watchdog import watch
from tocsin.mailbox import Mailbox
from tocsin.persistence.memory_store import MemoryStore
from tocsin.persistence.store import StoredActivator
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import Activators
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.transport.service_manager import ServiceManager


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Manager(ServiceManager):
    """A service manager that notes when it has heard that the agent is well."""

    def __init__(self, watchdog: float | None) -> None:
        super().__init__(watchdog=watchdog)
        self.start = anyio.current_time()
        self.heard: list[float] = []

    def tell_alive(self) -> None:
        """Note the moment."""
        self.heard.append(anyio.current_time() - self.start)


class StuckStore(MemoryStore):
    """A store that does not answer for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = anyio.Event()

    async def keep_activator(self, activator: StoredActivator) -> None:
        """Keep it when the time has come."""
        await self.go_on.wait()
        await super().keep_activator(activator)


@asynccontextmanager
async def watched(store: MemoryStore, watchdog: float | None = 10.0) -> AsyncIterator[tuple[Platform, Manager]]:
    """Run a platform that is watched."""
    platform, manager = Platform(store, Kernel(LoopClock(seed=1)), RetryPolicy()), Manager(watchdog)
    async with anyio.create_task_group() as tasks:
        await platform.start(tasks)
        tasks.start_soon(watch, platform, manager)
        yield platform, manager
        tasks.cancel_scope.cancel()


async def register(platform: Platform) -> None:
    """Give an actor something to store."""
    stamp = platform.let_in("mail", Mailbox("mail/1"))
    message = m.RegisterActivator(
        1,
        packaged=False,
        activators=Activators.PROTOCOL_ACTIVATOR,
        clsid=str(UUID(int=0)),
        conditions=(),
        cancel_on_condition_loss=False,
        has_handler=False,
        command=b"",
    )
    await platform.send(stamp, message, encode(message))


async def test_it_hears_at_half_of_its_patience() -> None:
    """Of an agent that has nothing to do, too."""
    async with watched(MemoryStore()) as (_, manager):
        await anyio.sleep(16)
        assert manager.heard == [0.0, 5.0, 10.0, 15.0]


async def test_one_that_does_not_wait_for_it_hears_nothing() -> None:
    """And the agent does not wake up for it."""
    async with watched(MemoryStore(), None) as (_, manager):
        await anyio.sleep(100)
        assert manager.heard == []


async def test_it_hears_nothing_while_an_actor_stands_still(caplog: pytest.LogCaptureFixture) -> None:
    """The log says which, once; when the actor goes on, the manager hears again."""
    store = StuckStore()
    async with watched(store) as (platform, manager):
        await anyio.sleep(1)
        await register(platform)
        await anyio.sleep(100)
        assert manager.heard == [0.0, 5.0]
        store.go_on.set()
        await anyio.sleep(0.6)
        assert manager.heard[2:] == [pytest.approx(101.5)]
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.getMessage().startswith("activator_registry stands still")


async def test_a_store_that_cannot_be_written_is_no_reason_for_silence() -> None:
    """A new process would fare no better with it."""
    async with watched(StuckStore()) as (platform, manager):
        platform.note_fault("the disk is full")
        await register(platform)
        await anyio.sleep(21)
        assert manager.heard == [0.0, 5.0, 10.0, 15.0, 20.0]
