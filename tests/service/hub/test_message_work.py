"""The driver of a message's life: it does what the table says, in order, and each of its effects is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

import anyio
import pytest
from attrs import evolve

from tests.protocol.tables import erase
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.hub.hub_outcomes import HubOutcome, TargetOutcome
from tocsin.protocol.hub.message_life import TABLE, Effect, Event, Phase
from tocsin.repeat_log import RepeatLog
from tocsin.service.hub import message_work
from tocsin.service.hub.message_work import MessageWork
from tocsin.service.hub.page import Page
from tocsin.service.registry.hub_store import DeadTarget, HubStore, MessageRow, Retry

SENT = TargetOutcome(HubOutcome.SUCCESS)
GONE = TargetOutcome(HubOutcome.ABANDONED, "it did not answer")
NOW = 100.0


class NotingStore:
    """Notes what it is asked; the first ``failures`` writes fail."""

    def __init__(self, failures: int = 0) -> None:
        self.journal: list[str] = []
        self.rows: dict[str, MessageRow] = {}
        self.retries: dict[int, Retry] = {}
        self._failures = failures

    async def message_of_any(self, id_: str) -> MessageRow | None:
        """Return the row, which takes a moment."""
        await anyio.lowlevel.checkpoint()
        return self.rows.get(id_)

    async def save_progress(
        self, message: MessageRow, retries: Sequence[Retry], done: Sequence[int], dead: Sequence[DeadTarget]
    ) -> None:
        """Note where it stands, and keep the retries."""
        await self._write(
            f"progress {_words(message)}, {len(retries)} again, {list(done)} done, {len(dead)} dead", message
        )
        for place in done:
            del self.retries[place]
        self.retries |= {retry.place: retry for retry in retries}

    async def has_retries(self, message: str, done: Sequence[int]) -> bool:
        """Tell whether there are retries besides these."""
        assert message == "m"
        await anyio.lowlevel.checkpoint()
        return bool(self.retries.keys() - set(done))

    async def _write(self, words: str, message: MessageRow) -> None:
        await anyio.lowlevel.checkpoint()
        if self._failures:
            self._failures -= 1
            self.journal.append("fails")
            raise StateUnavailable("the disk is full")
        self.journal.append(words)
        self.rows[message.id] = message


def _words(message: MessageRow) -> str:
    return f"{message.phase.name} at {message.place} of {message.until}, {message.tally.total}, {message.began} to {message.ended}"


def row(phase: Phase, **more: Any) -> MessageRow:
    """Make a message."""
    return evolve(MessageRow(1, "m", 7, phase, "windows", "", (), b"", 5.0), **more)


def work(store: NotingStore, known: MessageRow | None = None) -> MessageWork:
    """Make a driver; of ``known`` it knows, of nothing else."""

    async def fix_targets(message: MessageRow) -> int:
        await anyio.lowlevel.checkpoint()
        store.journal.append(f"looks for the last target of {message.id}")
        return 2

    made = MessageWork("m", cast("HubStore", store), RepeatLog(), fix_targets, lambda: NOW)
    if known is not None:
        made.know(known)
    return made


def page(place: int, *outcomes: TargetOutcome, again: int = 0, done: Sequence[int] = ()) -> Page:
    """Make a page that is finished."""
    retries = [Retry("m", place - number, 1, NOW + 1) for number in range(again)]
    return Page(place, 0, lambda: None, Counter(outcomes), None, retries, list(done))


async def story() -> list[str]:
    """Lead messages through their lives; tell all that was asked of the store, and all that was answered."""
    store = NotingStore()
    told = store.journal

    sent = work(store, row(Phase.ENQUEUED))
    told.append(f"begun: {await sent.step(Event.BEGUN)}")
    await sent.save([page(1, SENT)])
    await sent.save([page(2, again=1)])
    told.append(sent.row.phase.name)
    await sent.save([page(0, SENT, done=[2])])
    told.append(sent.row.phase.name)

    goes_on = work(store, row(Phase.PROCESSING, place=1, until=2, began=50.0))
    told.append(f"resumed: {await goes_on.step(Event.RESUMED)}")
    await goes_on.save([page(2, GONE)])

    empty = work(store, row(Phase.PROCESSING, until=0, began=50.0))
    await empty.save([])

    refused = work(store, row(Phase.ENQUEUED))
    told.append(f"cancelled: {await refused.step(Event.CANCELLED)}")

    for phase in (Phase.SCHEDULED, Phase.CANCELLED):
        for disowned in (False, True):
            due = work(store, row(phase))
            told.append(f"due: {await due.start_when_due(disowned=disowned)}")
    for phase in (Phase.SCHEDULED, Phase.PROCESSING):
        told.append(f"cancelled: {await work(store, row(phase)).cancel()}")
    return told


async def test_a_message_goes_its_way() -> None:
    """Written down when it begins, page by page, and when it ends; it ends when nothing of it is to be tried again."""
    nothing = "0 again, [] done, 0 dead"
    cancelled = f"progress CANCELLED at 0 of None, 0, None to 100.0, {nothing}"
    begun = ["looks for the last target of m", f"progress PROCESSING at 0 of 2, 0, 100.0 to None, {nothing}"]
    assert await story() == [
        *begun,
        "begun: True",
        f"progress PROCESSING at 1 of 2, 1, 100.0 to None, {nothing}",
        "progress PROCESSING at 2 of 2, 1, 100.0 to None, 1 again, [] done, 0 dead",
        "PROCESSING",
        "progress COMPLETED at 2 of 2, 2, 100.0 to 100.0, 0 again, [2] done, 0 dead",
        "COMPLETED",
        "resumed: True",
        f"progress ABANDONED at 2 of 2, 1, 50.0 to 100.0, {nothing}",
        f"progress NO_TARGET_FOUND at 0 of 0, 0, 50.0 to 100.0, {nothing}",
        cancelled,
        "cancelled: False",
        *begun,
        "due: True",
        cancelled,
        "due: False",
        "due: False",
        "due: False",
        cancelled,
        "cancelled: True",
        "cancelled: False",
    ]


@pytest.mark.parametrize("effect", Effect)
async def test_it_does_nothing_that_the_table_does_not_name(monkeypatch: pytest.MonkeyPatch, effect: Effect) -> None:
    """Without any one of its effects the table makes another life."""
    right = await story()
    erase(monkeypatch, TABLE, effect)
    assert await story() != right


async def test_it_writes_until_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, and each page once: what waits for the store waits behind what was first."""
    monkeypatch.setattr(message_work, "_FIRST_WAIT", 0.0)
    store = NotingStore(failures=3)
    message = work(store, row(Phase.PROCESSING, until=9, began=50.0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(message.save, [page(1, SENT)])
        tasks.start_soon(message.save, [page(0, SENT)])
        tasks.start_soon(message.save, [page(2, GONE)])
    assert [line.partition(",")[0] for line in store.journal] == [
        *["fails"] * 3,
        "progress PROCESSING at 1 of 9",
        "progress PROCESSING at 1 of 9",
        "progress PROCESSING at 2 of 9",
    ]
    assert message.row.tally.total == 3


async def test_it_is_read_when_it_is_held() -> None:
    """Not where it is known already; one that is not kept is not there."""
    store = NotingStore()
    assert not await work(store).load()
    store.rows["m"] = row(Phase.CANCELLED)
    late, early = work(store), work(store, row(Phase.PROCESSING))
    assert await late.load()
    assert await early.load()
    assert (late.row.phase, early.row.phase) == (Phase.CANCELLED, Phase.PROCESSING)
