"""Accepts the messages of all hubs, and has them sent: accepted on disk first, then target by target, over restarts."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
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
from tocsin.service.hub.message_sending import AcceptedMessages, MessageSending, SendingParts
from tocsin.service.hub.message_work import Works, until_stored
from tocsin.service.hub.page import Page, Target
from tocsin.service.hub.target_delivery import Order, TargetDelivery
from tocsin.service.hub.target_pages import TargetPages
from tocsin.service.registry.hub_store import HubRow, HubStore, MessageRow, SharedHubStore
from tocsin.service.registry.hubs import Hubs
from tocsin.service.registry.service_store import may_be_there
from tocsin.tasks import task_group

MAX_WAITING: Final = 100_000
"""Messages that wait to be gone through, above which no more are accepted."""

MOST_TESTED: Final = 10
"""Targets of a message that is sent as a test at most."""

LATE: Final = 60.0
"""Seconds after which no message of another node comes with a number below that of one that is there."""

LOOK_EVERY: Final = 0.1
"""Seconds after which a node that shares its store looks whether it is the one that sends."""

COUNT_EVERY: Final = 5.0
"""Seconds after which it counts the messages that wait, which other nodes accept and take up."""

logger = logging.getLogger(__name__)


class HubSender:
    """Accepts messages, and sends them while :meth:`running`.

    :param make_delivery: makes what tries targets, in a task group.
    :param now: the service's time.
    :param shared: the store, where other nodes accept messages too; one of them sends those of all.
    :param leads: tells whether this is the one.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        store: HubStore,
        hubs: Hubs,
        pages: TargetPages,
        make_delivery: Callable[[TaskGroup], TargetDelivery],
        recurring: RepeatLog,
        now: Callable[[], float],
        shared: SharedHubStore | None = None,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._pages = pages
        self._make_delivery = make_delivery
        self._recurring = recurring
        self._now = now
        self._shared = shared
        self._leads = leads
        self._number = 0
        self._accepted = AcceptedMessages()
        self._works = Works(store, recurring, pages.last_place, now)
        self._disowned = Disowned(store, self._works, recurring, now)
        parts = (store, hubs, pages, self._works, self._disowned, self._accepted, recurring, now, leads)
        self._parts = SendingParts(*parts, 0.0 if shared is None else LATE)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the block runs; what is under way when it is left is gone on with at the next start.

        :raises StateUnavailable: the store cannot be read at the start.
        """
        self._number = await self._store.last_number()
        async with task_group() as tasks:
            self._delivery = await self._deliver(tasks)
            if self._shared is None:
                await self._send(tasks, self._number)
            else:
                tasks.start_soon(self._take_turns, name="messages of hubs, where this node sends them")
                tasks.start_soon(self._count, self._shared, name="counting the messages of hubs that wait")
            tasks.start_soon(self._disowned.run, name="messages of hubs that were refused")
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()

    def look(self) -> None:
        """Look for messages that another node has accepted."""
        self._accepted.at_once.set()
        self._accepted.later.set()

    async def _deliver(self, tasks: TaskGroup) -> TargetDelivery:
        delivery = self._make_delivery(tasks)
        tasks.start_soon(delivery.run, name="what devices did not acknowledge")
        return delivery

    async def _send(self, tasks: TaskGroup, last: int) -> None:
        delivery = self._delivery if self._shared is None else await self._deliver(tasks)
        sending = MessageSending(self._parts, delivery, last)
        tasks.start_soon(sending.run, tasks, name="messages of hubs")

    async def _take_turns(self) -> None:
        """Send for as long as this node is the one that does; then the next goes on with what was under way."""
        while True:
            while not self._leads():  # noqa: ASYNC110  # it ends by itself: there is no event for it
                await anyio.sleep(LOOK_EVERY)
            last = await until_stored(self._store.last_number, self._recurring)
            async with task_group() as tasks:
                await self._send(tasks, last)
                while self._leads():  # noqa: ASYNC110  # as above
                    await anyio.sleep(LOOK_EVERY)
                tasks.cancel_scope.cancel()

    async def _count(self, shared: SharedHubStore) -> None:
        while True:
            self._accepted.waiting = await until_stored(lambda: shared.count_waiting(MAX_WAITING + 1), self._recurring)
            if not self._leads():
                self._disowned.forget_cancelled()  # nothing that was read here is to be sent
            await anyio.sleep(COUNT_EVERY)

    async def accept(self, message: MessageRow) -> None:
        """Keep a message, which is sent as soon as may be, or when it is due; when this returns, it is on disk.

        :param message: its number is given here.
        :raises StateUnavailable: it could not be stored.
        """
        message = evolve(message, number=await self._next_number())
        self._accepted.waiting += message.phase is Phase.ENQUEUED
        try:
            await self._store.add_message(message)
        except BaseException as failure:
            self._accepted.waiting -= message.phase is Phase.ENQUEUED
            if may_be_there(failure):  # its sender is told that it failed, and sends it again
                self._disowned.add(message)
            raise
        finally:
            (self._accepted.at_once if message.phase is Phase.ENQUEUED else self._accepted.later).set()

    async def _next_number(self) -> int:
        if self._shared is not None:
            return await self._shared.next_number()
        self._number += 1
        return self._number

    @property
    def is_full(self) -> bool:
        """Whether so many messages wait to be gone through that no more should come."""
        return self._accepted.waiting > MAX_WAITING

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
        chosen = targets[:MOST_TESTED]
        page.open += len(chosen)
        await self._delivery.begin(order, page, chosen)
        page.close_one()
        await finished.wait()
        results = page.results or []
        tally = Tally().plus(page.counts)
        phase = {Event.FOUND_NONE: Phase.NO_TARGET_FOUND}.get(ending(tally), Phase.COMPLETED)
        began, ended = message.accepted, self._now()
        row = evolve(message, phase=phase, tally=tally, began=began, ended=ended)
        try:
            await self._store.add_message(evolve(row, number=await self._next_number()))
        except StateUnavailable as failure:  # what was sent is not to be sent again: its sender gets the outcome
            self._recurring.log(logger, logging.WARNING, "test", "a test of a hub is not kept: %s", failure)
        return results
