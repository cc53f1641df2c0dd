"""Goes through the messages that hubs have accepted, while this node is the one that does so: target by target, over restarts.

What is under way is bounded: so many messages are gone through at a time, so many targets tried, so many pages not written
down yet. What waits is on disk only.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import anyio
from anyio.abc import TaskGroup
from attrs import Factory, define, frozen

from tocsin.protocol.hub.message_life import Event, Phase
from tocsin.repeat_log import RepeatLog
from tocsin.service.hub.composing import composer
from tocsin.service.hub.disowned import Disowned
from tocsin.service.hub.message_work import MessageWork, Works, until_stored
from tocsin.service.hub.page import Page, Target, postponed
from tocsin.service.hub.taken_messages import TakenMessages
from tocsin.service.hub.target_delivery import Order, TargetDelivery
from tocsin.service.hub.target_pages import TargetPages
from tocsin.service.registry.hub_store import HubRow, HubStore, MessageRow, Retry
from tocsin.service.registry.hubs import Hubs
from tocsin.tasks import Signal, task_group

MAX_MESSAGES: Final = 32
"""Messages whose targets are gone through at a time."""

MAX_PAGES: Final = 64
"""Pages of one message that are not written down yet at most: what is tried again after a crash, under the same ids."""

DEVICES_RETURN: Final = 30.0
"""Seconds from the start in which devices come back that were connected to the service before, or to a node that has gone."""

_READ: Final = 64  # messages that are read at a time
_RETRIED: Final = 256  # targets that are tried again at a time

logger = logging.getLogger(__name__)


@define(eq=False)
class AcceptedMessages:
    """What is told of messages that were accepted."""

    waiting: int = 0
    """How many wait to be taken up; those of before the start are not among them."""
    at_once: Signal = Factory(Signal)
    """Set when there may be more to be sent at once."""
    later: Signal = Factory(Signal)
    """Set when the next message that is due may be another."""


@frozen
class SendingParts:
    """What all who go through messages share, one after the other; ``now`` tells the service's time.

    ``may_send`` tells whether this node is still the one that sends. ``late`` are the seconds after which no message comes
    with a lower number than another.
    """

    store: HubStore
    hubs: Hubs
    pages: TargetPages
    works: Works
    disowned: Disowned
    accepted: AcceptedMessages
    recurring: RepeatLog
    now: Callable[[], float]
    may_send: Callable[[], bool]
    late: float


class MessageSending:
    """Sends until it is cancelled; what is under way then is gone on with by the next one, as after a restart.

    :param last: the number of the last message that there was at its start.
    """

    def __init__(self, parts: SendingParts, delivery: TargetDelivery, last: int) -> None:
        self._store = parts.store
        self._hubs = parts.hubs
        self._pages = parts.pages
        self._works = parts.works
        self._disowned = parts.disowned
        self._accepted = parts.accepted
        self._recurring = parts.recurring
        self._now = parts.now
        self._may_send = parts.may_send
        self._late = parts.late
        self._delivery = delivery
        self._devices_return = (last, parts.now() + DEVICES_RETURN)
        self._taken = TakenMessages(parts.late)
        self._to_retry = Signal()  # set when the next target that is to be tried again may be another
        self._slots = anyio.Semaphore(MAX_MESSAGES)

    async def run(self, tasks: TaskGroup) -> None:
        """Go on with what was under way at the last stop; then take up what was accepted, in order, and what is due."""
        await self._take_up(tasks, Phase.PROCESSING)
        self._taken = TakenMessages(self._late)
        tasks.start_soon(self._send_due, tasks, name="messages of hubs that are due later")
        tasks.start_soon(self._retry_due, name="targets of hubs that are tried again")
        while True:
            await self._take_up(tasks, Phase.ENQUEUED)
            self._disowned.forget_cancelled()  # what was read is taken up
            await self._accepted.at_once.wait()

    async def _take_up(self, tasks: TaskGroup, phase: Phase) -> None:
        event = Event.BEGUN if phase is Phase.ENQUEUED else Event.RESUMED
        after = self._taken.after
        while messages := await until_stored(partial(self._store.open_messages, phase, after, _READ), self._recurring):
            for message in messages:
                after = message.number
                if self._taken.is_new(after):
                    self._taken.take(after, anyio.current_time())
                    self._accepted.waiting = max(self._accepted.waiting - 1, 0)
                    await self._slots.acquire()
                    tasks.start_soon(self._send, message, event)

    async def _send_due(self, tasks: TaskGroup) -> None:
        """Take up messages that were scheduled, when they are due."""
        while True:
            now = await self._until_due(self._store.next_scheduled, self._accepted.later)
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
        await self._delivery.begin(order, page, targets, self._may_send)
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
        number = work.row.hub
        if self._hubs.numbered(number) is None:  # another node may have made it just now
            await until_stored(self._hubs.reload, self._recurring)
        hub = self._hubs.numbered(number)
        if hub is None:
            await until_stored(partial(self._store.forget_rest, number), self._recurring)
        return hub

    def _order(self, message: MessageRow, hub: HubRow) -> Order:
        last, until = self._devices_return
        begins = message.accepted if message.due is None else message.due
        return Order(message, hub, composer(message), begins, until if message.number <= last else 0.0)
