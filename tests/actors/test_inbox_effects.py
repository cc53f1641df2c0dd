"""When the router's changes are written, on virtual time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trio.testing
from attrs import frozen

from tests.helpers import next_messages
from tocsin.actors.alarm import Alarm
from tocsin.actors.clock import LoopClock, ServiceClock
from tocsin.actors.inbox_effects import InboxEffects
from tocsin.actors.senses import Senses
from tocsin.mailbox import Mailbox
from tocsin.persistence.memory_store import MemoryStore
from tocsin.persistence.store import Changes
from tocsin.protocol.delivery.dead_letter_policy import DeadLetterPolicy
from tocsin.protocol.kernel.commit_delay import PATIENCE
from tocsin.protocol.messages import AlarmRang, PayloadRow
from tocsin.protocol.values import DropReason, NotificationType


class NotingStore(MemoryStore):
    """Notes what is committed."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[tuple[list[int], list[int]]] = []
        """The sequence numbers that were accepted, and those that were handled."""

    async def commit(self, changes: Changes) -> None:
        """Commit, and note."""
        await super().commit(changes)
        self.commits.append(([payload[0] for payload in changes.accepted], list(changes.handled)))


@frozen
class World:
    """A effects with its store, and the mailbox that its alarm rings in."""

    effects: InboxEffects
    store: NotingStore
    mailbox: Mailbox

    async def end_batch(self) -> None:
        """Commit, where that is due, as the router does at the end of its batch."""
        if self.effects.are_due():
            await self.effects.perform()

    async def accept(self, sequence: int) -> None:
        """End a batch that has brought a payload."""
        self.effects.accepted.append(PayloadRow(sequence, str(sequence), NotificationType.RAW, b"", 1, None, "c1"))
        await self.end_batch()

    async def handled(self, sequence: int) -> None:
        """End a batch that has brought the end of a payload."""
        self.effects.handled.append(sequence)
        await self.end_batch()


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@asynccontextmanager
async def opened() -> AsyncIterator[World]:
    """Open a effects into which one payload has come."""
    with Mailbox("test") as mailbox:
        alarm, store, clock = Alarm(mailbox), NotingStore(), LoopClock()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(alarm.run)
            world = World(
                InboxEffects(store, Senses(clock, ServiceClock(clock), alarm), DeadLetterPolicy()), store, mailbox
            )
            await world.accept(1)
            store.commits.clear()
            yield world
            tasks.cancel_scope.cancel()


async def test_a_payload_is_written_at_once() -> None:
    """Its acknowledgement waits for that."""
    async with opened() as world:
        await world.accept(2)
        assert world.store.commits == [([2], [])]


async def test_the_end_of_a_payload_shares_the_commit_of_the_next() -> None:
    """One transaction has both, and the alarm finds nothing to do."""
    async with opened() as world:
        await world.handled(1)
        assert world.store.commits == []
        await world.accept(2)
        assert world.store.commits == [([2], [1])]
        assert await next_messages(world.mailbox) == [AlarmRang()]
        await world.end_batch()
        assert world.store.commits == [([2], [1])]


async def test_where_no_payload_comes_the_alarm_sees_to_it() -> None:
    """The alarm rings ``PATIENCE`` after the first handled payload, and later ones share its commit."""
    async with opened() as world:
        await world.accept(2)
        start = anyio.current_time()
        await world.handled(1)
        await anyio.sleep(PATIENCE / 2)
        await world.handled(2)
        assert await next_messages(world.mailbox) == [AlarmRang()]
        assert anyio.current_time() == pytest.approx(start + PATIENCE)
        await world.end_batch()
        assert world.store.commits[-1] == ([], [1, 2])


async def test_a_death_waits_as_what_was_handled_does() -> None:
    """A thousand toasts that no desktop takes cost no commit each; one that is lost meanwhile dies once more."""
    async with opened() as world:
        await world.accept(2)
        await world.handled(1)
        world.effects.bury(2, DropReason.EXPIRED, "")
        await world.end_batch()
        assert world.store.commits[-1] == ([2], [])  # of the payloads themselves
        await anyio.sleep(PATIENCE)
        await world.end_batch()
        assert world.store.commits[-1] == ([], [1])


async def test_near_the_end_nothing_waits() -> None:
    """A platform that stops has written what was handled."""
    async with opened() as world:
        world.effects.hurry()
        await world.handled(1)
        assert world.store.commits == [([], [1])]
