"""Sends the messages of all hubs: accepted on disk first, then target by target, over restarts.

What is under way is bounded: so many messages are gone through at a time, so many targets tried, so many pages not written
down yet. What waits is on disk only.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import anyio
from anyio.abc import TaskGroup
from attrs import evolve

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.hub.hub_outcomes import Tally, TargetOutcome
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.message_life import Event, Phase, ending, state_of
from tocsin.repeat_log import RepeatLog
from tocsin.service.hub.composing import composer
from tocsin.service.hub.disowned import Disowned
from tocsin.service.hub.message_work import MessageWork, Works, until_stored
from tocsin.service.hub.page import Page, Target, postponed
from tocsin.service.hub.target_delivery import Order, TargetDelivery
from tocsin.service.hub.target_pages import TargetPages
from tocsin.service.registry.hub_store import HubRow, HubStore, MessageRow, Retry
from tocsin.service.registry.hubs import Hubs
from tocsin.service.registry.service_store import may_be_there
from tocsin.tasks import Signal, task_group

MAX_MESSAGES: Final = 32
"""Messages whose targets are gone through at a time."""

MAX_PAGES: Final = 64
"""Pages of one message that are not written down yet at most: what is tried again after a crash, under the same ids."""

DEVICES_RETURN: Final = 30.0
"""Seconds from the start in which devices come back that were connected to the service before."""

MAX_WAITING: Final = 100_000
"""Messages that wait to be gone through, above which no more are accepted."""

MOST_TESTED: Final = 10
"""Targets of a message that is sent as a test at most."""

_READ: Final = 64  # messages that are read at a time
_RETRIED: Final = 256  # targets that are tried again at a time

logger = logging.getLogger(__name__)


class HubSender:
    """Accepts messages, and sends them while :meth:`running`.

    :param make_delivery: makes what tries targets, in a task group.
    :param now: the service's time.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        store: HubStore,
        hubs: Hubs,
        pages: TargetPages,
        make_delivery: Callable[[TaskGroup], TargetDelivery],
        recurring: RepeatLog,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._hubs = hubs
        self._pages = pages
        self._make_delivery = make_delivery
        self._recurring = recurring
        self._now = now
        self._number = 0
        self._waiting = 0  # messages that were accepted since the start and not taken up
        self._taken = 0  # the number of the last message that was taken up
        self._accepted = Signal()
        self._to_come = Signal()  # set when the next message that is due may be another
        self._to_retry = Signal()  # set when the next target that is to be tried again may be another
        self._slots = anyio.Semaphore(MAX_MESSAGES)
        self._works = Works(store, recurring, pages.last_place, now)
        self._disowned = Disowned(store, self._works, recurring, now)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the block runs; what is under way when it is left is gone on with at the next start.

        :raises StateUnavailable: the store cannot be read at the start.
        """
        self._number = await self._store.last_number()
        self._devices_return = (self._number, self._now() + DEVICES_RETURN)
        async with task_group() as tasks:
            self._delivery = self._make_delivery(tasks)
            tasks.start_soon(self._delivery.run, name="what devices did not acknowledge")
            tasks.start_soon(self._send_all, tasks, name="messages of hubs")
            tasks.start_soon(self._disowned.run, name="messages of hubs that were refused")
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()

    async def accept(self, message: MessageRow) -> None:
        """Keep a message, which is sent as soon as may be, or when it is due; when this returns, it is on disk.

        :param message: its number is given here.
        :raises StateUnavailable: it could not be stored.
        """
        self._number += 1
        self._waiting += message.phase is Phase.ENQUEUED
        try:
            await self._store.add_message(evolve(message, number=self._number))
        except BaseException as failure:
            self._waiting -= message.phase is Phase.ENQUEUED
            if may_be_there(failure):  # its sender is told that it failed, and sends it again
                self._disowned.add(message)
            raise
        finally:
            (self._accepted if message.phase is Phase.ENQUEUED else self._to_come).set()

    @property
    def is_full(self) -> bool:
        """Whether so many messages wait to be gone through that no more should come."""
        return self._waiting > MAX_WAITING

    async def cancel(self, hub: HubRow, id: str) -> None:  # noqa: A002 - the field's name
        """Cancel a message that is scheduled.

        :raises HubRefused: there is none of that id, or its time has come.
        :raises StateUnavailable: the store cannot be used.
        """
        message = await self._store.message(hub.id, id)
        if message is None:
            raise HubRefused(HubReason.UNKNOWN_MESSAGE, "The hub has no scheduled message with this id.")
        with self._works.hold(id) as work:
            if await work.load() and not await work.cancel():
                raise HubRefused(
                    HubReason.UNKNOWN_MESSAGE,
                    f"The message is not scheduled any more: it is {state_of(work.row.phase)}.",
                )

    async def test(self, hub: HubRow, message: MessageRow) -> list[tuple[Target, TargetOutcome]]:
        """Send a message to ``MOST_TESTED`` targets at most, each tried once, and return what became of each.

        :raises StateUnavailable: the store cannot be read; nothing was sent.
        """
        finished = anyio.Event()
        order = Order(message, hub, composer(message), message.accepted)
        targets: list[Target] = []
        plan, place = await self._pages.plan(message, await self._pages.last_place(message)), 0
        while place < plan.until and len(targets) < MOST_TESTED:
            place, found = await self._pages.page(plan, place)
            targets += [target for target in found if order.compose(target.registration) is not None]
        page = Page(0, 1, finished.set, results=[])
        await self._try_all(order, page, targets[:MOST_TESTED])
        await finished.wait()
        results = page.results or []
        tally = Tally().plus(page.counts)
        phase = {Event.FOUND_NONE: Phase.NO_TARGET_FOUND}.get(ending(tally), Phase.COMPLETED)
        self._number += 1
        began, ended = message.accepted, self._now()
        row = evolve(message, number=self._number, phase=phase, tally=tally, began=began, ended=ended)
        try:
            await self._store.add_message(row)
        except StateUnavailable as failure:  # what was sent is not to be sent again: its sender gets the outcome
            self._recurring.log(logger, logging.WARNING, "test", "a test of a hub is not kept: %s", failure)
        return results

    async def _send_all(self, tasks: TaskGroup) -> None:
        """Go on with what was under way at the last stop; then take up what was accepted, in order, and what is due."""
        await self._take_up(tasks, Phase.PROCESSING)
        self._taken = 0
        tasks.start_soon(self._send_due, tasks, name="messages of hubs that are due later")
        tasks.start_soon(self._retry_due, name="targets of hubs that are tried again")
        while True:
            await self._take_up(tasks, Phase.ENQUEUED)
            self._disowned.forget_cancelled()  # what was read is taken up
            await self._accepted.wait()

    async def _take_up(self, tasks: TaskGroup, phase: Phase) -> None:
        event = Event.BEGUN if phase is Phase.ENQUEUED else Event.RESUMED
        while messages := await until_stored(
            lambda: self._store.open_messages(phase, self._taken, _READ), self._recurring
        ):
            for message in messages:
                self._taken = message.number
                self._waiting = max(self._waiting - 1, 0)
                await self._slots.acquire()
                tasks.start_soon(self._send, message, event)

    async def _send_due(self, tasks: TaskGroup) -> None:
        """Take up messages that were scheduled, when they are due."""
        while True:
            now = await self._until_due(self._store.next_scheduled, self._to_come)
            for message in await until_stored(partial(self._store.due_messages, now, _READ), self._recurring):
                await self._slots.acquire()
                with self._works.hold(message.id) as work:
                    begun = await work.load() and await work.start_when_due(disowned=message.id in self._disowned)
                    if begun:
                        tasks.start_soon(self._send, work.row, Event.RESUMED)
                    else:
                        self._slots.release()

    async def _retry_due(self) -> None:
        """Try targets again, when that is due; what is scheduled does not wait for them."""
        while True:
            now = await self._until_due(self._store.next_retry, self._to_retry)
            await self._try_again(await until_stored(partial(self._store.due_retries, now, _RETRIED), self._recurring))

    async def _until_due(self, next_due: Callable[[], Awaitable[float | None]], sooner: Signal) -> float:
        """Wait until something is due, and return the time; ``sooner`` tells that the next may be another."""
        while True:
            due = await until_stored(next_due, self._recurring)
            now = self._now()
            if due is not None and due <= now:
                return now
            with anyio.move_on_after(None if due is None else due - now):
                await sooner.wait()

    async def _send(self, message: MessageRow, event: Event) -> None:
        """Go through the targets of a message; a slot was taken for it, which is free again when all have been begun."""
        has_slot = True

        def free_slot() -> None:
            nonlocal has_slot
            if has_slot:
                self._slots.release()
            has_slot = False

        try:
            with self._works.hold(message.id) as work:
                work.know(message)
                if message.id in self._disowned:
                    event = Event.CANCELLED
                if await work.step(event):
                    await self._go_through(work, free_slot)
        except Exception:  # noqa: BLE001  # the others go on, and this one at the next start
            self._log_failure()
        finally:
            free_slot()

    def _log_failure(self) -> None:
        self._recurring.log(logger, logging.ERROR, "send", "a message of a hub failed:\n%s", traceback.format_exc())

    async def _go_through(self, work: MessageWork, all_begun: Callable[[], None]) -> None:
        hub = await self._hub_of(work)
        if hub is None:
            return
        order = self._order(work.row, hub)
        finished = Signal()
        pages: list[Page] = []
        row, place = work.row, work.row.place
        plan = await until_stored(lambda: self._pages.plan(row, row.until or 0), self._recurring)
        while place < plan.until:
            read = partial(self._pages.page, plan, place)
            place, targets = await until_stored(read, self._recurring)
            page = Page(place, 1, finished.set)
            pages.append(page)
            await self._try_all(order, page, targets)
            await self._save_finished(work, pages)
            while len(pages) >= MAX_PAGES:
                await finished.wait()
                await self._save_finished(work, pages)
            if self._hubs.numbered(hub.id) is None:
                return
        all_begun()
        while pages:
            await finished.wait()
            await self._save_finished(work, pages)
        if row.place >= plan.until:  # there was no page with which its end was written down
            await work.save([])

    async def _save_finished(self, work: MessageWork, pages: list[Page]) -> None:
        """Write down the pages up to the first that is not finished."""
        count = next((number for number, page in enumerate(pages) if not page.finished), len(pages))
        if count:
            saved, pages[:count] = pages[:count], []
            await work.save(saved)
            if any(page.retries for page in saved):
                self._to_retry.set()

    async def _try_all(self, order: Order, page: Page, targets: Sequence[Target]) -> None:
        """Begin with all targets of a page; it was open by one, for this."""
        page.open += len(targets)
        await self._delivery.begin(order, page, targets)
        page.close_one()

    async def _try_again(self, retries: list[Retry]) -> None:
        """Try targets once more, those of all messages side by side, and write down what became of them."""
        by_message: dict[str, list[Retry]] = {}
        for retry in retries:
            by_message.setdefault(retry.message, []).append(retry)
        async with task_group() as tasks:
            for id_, some in by_message.items():
                tasks.start_soon(self._try_again_of, id_, some)

    async def _try_again_of(self, id_: str, retries: list[Retry]) -> None:
        with self._works.hold(id_) as work:
            hub = await self._hub_of(work) if await work.load() else None
            if hub is None:
                return
            finished = anyio.Event()
            page = Page(0, 1, finished.set)
            attempts = {retry.place: retry.attempts for retry in retries}
            try:
                targets = await until_stored(lambda: self._pages.at(work.row, attempts), self._recurring)
                page.done += attempts.keys() - {target.place for target in targets}  # their registrations are gone
                await self._try_all(self._order(work.row, hub), page, targets)
                await finished.wait()
            except Exception:  # noqa: BLE001  # the others go on, and these later
                self._log_failure()
                page = postponed(retries, self._now())
            await work.save([page])

    async def _hub_of(self, work: MessageWork) -> HubRow | None:
        """Return the hub of a message; what was accepted while it was removed goes with it."""
        hub = self._hubs.numbered(work.row.hub)
        if hub is None:
            await until_stored(partial(self._store.remove_hub, work.row.hub), self._recurring)
        return hub

    def _order(self, message: MessageRow, hub: HubRow) -> Order:
        last, until = self._devices_return
        begins = message.accepted if message.due is None else message.due
        return Order(message, hub, composer(message), begins, until if message.number <= last else 0.0)
