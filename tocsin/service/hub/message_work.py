"""One message while something is at work on it: what it has come to is written down in order, and by one at a time."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple, TypeVar

import anyio
from attrs import evolve

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.hub.message_life import TABLE, Effect, Event, Phase, ending
from tocsin.protocol.kernel.machine import step
from tocsin.repeat_log import RepeatLog
from tocsin.service.hub.page import Page
from tocsin.service.registry.hub_store import DeadTarget, HubStore, MessageRow, Retry

T = TypeVar("T")

_FIRST_WAIT: Final = 0.5  # seconds until the store is tried again
_LAST_WAIT: Final = 30.0

logger = logging.getLogger(__name__)


async def until_stored(call: Callable[[], Awaitable[T]], recurring: RepeatLog) -> T:
    """Ask the store again and again until it answers: what is accepted is sent, however long the disk is full."""
    wait = _FIRST_WAIT
    while True:
        try:
            return await call()
        except StateUnavailable as failure:
            recurring.log(logger, logging.WARNING, "store", "messages of hubs wait for the store: %s", failure)
        await anyio.sleep(wait)
        wait = min(wait * 2, _LAST_WAIT)


class _Progress(NamedTuple):
    """What has become of targets, beside the tally."""

    retries: Sequence[Retry] = ()
    done: Sequence[int] = ()
    dead: Sequence[DeadTarget] = ()


_NOTHING: Final = _Progress()


class MessageWork:
    """A message on its way; the driver of :mod:`tocsin.protocol.hub.message_life`.

    Nothing is known of it before :meth:`know` or :meth:`load`.

    :param fix_targets: returns the last place of its targets, as they are now.
    :param now: the service's time.
    """

    row: MessageRow

    def __init__(
        self,
        id: str,  # noqa: A002 - the field's name
        store: HubStore,
        recurring: RepeatLog,
        fix_targets: Callable[[MessageRow], Awaitable[int]],
        now: Callable[[], float],
    ) -> None:
        self._id = id
        self._known = False
        self.users = 0
        """How many are at work on it."""
        self._store = store
        self._recurring = recurring
        self._fix_targets = fix_targets
        self._now = now
        self._saving = anyio.Lock()
        self._delivers = False
        self._unsaved = _NOTHING
        self._may_wait = True  # whether something of it may be to be tried again

    def know(self, row: MessageRow) -> None:
        """Begin with what was read of it, where nothing can have changed that since."""
        if not self._known:
            self.row, self._known = row, True

    async def load(self) -> bool:
        """Read it, unless it is known; tell whether it is there.

        What was read before it was held may have been changed, and let go, by others since.
        """
        async with self._saving:
            if not self._known:
                row = await until_stored(lambda: self._store.message_of_any(self._id), self._recurring)
                if row is None:
                    return False
                self.know(row)
        return True

    async def step(self, event: Event) -> bool:
        """Take an event; tell whether its targets are to be gone through."""
        async with self._saving:
            return await self._step(event)

    async def start_when_due(self, *, disowned: bool) -> bool:
        """Begin with it now that it is due; tell whether its targets are to be gone through: not where it was cancelled."""
        async with self._saving:
            if self.row.phase is not Phase.SCHEDULED:
                return False
            await self._step(Event.DUE)
            return await self._step(Event.CANCELLED if disowned else Event.BEGUN) and await self._is_kept()

    async def cancel(self) -> bool:
        """Cancel it, and tell whether that was done: it has to be scheduled still."""
        async with self._saving:
            if self.row.phase is not Phase.SCHEDULED:
                return False
            await self._step(Event.CANCELLED)
            return await self._is_kept()

    async def _is_kept(self) -> bool:
        """Tell whether it has come to the phase that was written; another node may have cancelled it, or begun, just before."""
        row = await until_stored(lambda: self._store.message_of_any(self._id), self._recurring)
        if row is None or row.phase is self.row.phase:
            return True
        self.row = row
        return False

    async def _step(self, event: Event) -> bool:
        phase, effects = step(TABLE, self.row.phase, event)
        self.row = evolve(self.row, phase=phase)
        self._delivers = False
        for effect in effects:
            await _PERFORM[effect](self)
        return self._delivers

    async def save(self, pages: Sequence[Page]) -> None:
        """Write down what has become of pages that are finished, and the end of the message where nothing of it is left."""
        async with self._saving:
            tally = self.row.tally
            for page in pages:
                tally = tally.plus(page.counts)
            place = max([self.row.place, *(page.place for page in pages)])
            self.row = evolve(self.row, tally=tally, place=place)
            self._unsaved = _Progress(
                [retry for page in pages for retry in page.retries],
                [place for page in pages for place in page.done],
                [target for page in pages for target in page.dead],
            )
            self._may_wait = self._may_wait or bool(self._unsaved.retries)
            gone_through = self.row.until is not None and place >= self.row.until
            if gone_through and self.row.phase is Phase.PROCESSING and not await self._waits():
                await self._step(ending(tally))
            else:
                await self._write()

    async def _waits(self) -> bool:
        """Tell whether something of it is to be tried again, when what is unsaved will have been written down."""
        if self._unsaved.retries or not self._may_wait:
            return self._may_wait
        done = self._unsaved.done
        return await until_stored(lambda: self._store.has_retries(self.row.id, done), self._recurring)

    async def _write(self) -> None:
        """Write down where it stands, with what is unsaved."""
        row, (retries, done, dead) = self.row, self._unsaved
        await until_stored(lambda: self._store.save_progress(row, retries, done, dead), self._recurring)
        self._unsaved = _NOTHING

    async def _perform_fix_targets(self) -> None:
        until = await until_stored(lambda: self._fix_targets(self.row), self._recurring)
        self.row = evolve(self.row, until=until, began=self._now())
        self._may_wait = False

    async def _perform_save(self) -> None:
        if self.row.phase is not Phase.PROCESSING:
            self.row = evolve(self.row, ended=self._now())
        elif self.row.devices and self.row.due is None:
            return  # it names its targets itself: begun anew after a kill, it comes to the same
        await self._write()

    async def _perform_deliver(self) -> None:
        self._delivers = True


_PERFORM: dict[Effect, Callable[[MessageWork], Awaitable[None]]] = {
    Effect.FIX_TARGETS: MessageWork._perform_fix_targets,  # noqa: SLF001  # one table for all messages
    Effect.SAVE: MessageWork._perform_save,  # noqa: SLF001
    Effect.DELIVER: MessageWork._perform_deliver,  # noqa: SLF001
}


class Works:
    """All messages that something is at work on, by their ids; takes what each of them takes."""

    def __init__(
        self,
        store: HubStore,
        recurring: RepeatLog,
        fix_targets: Callable[[MessageRow], Awaitable[int]],
        now: Callable[[], float],
    ) -> None:
        self._make = partial(MessageWork, store=store, recurring=recurring, fix_targets=fix_targets, now=now)
        self._works: dict[str, MessageWork] = {}

    def __contains__(self, id_: object) -> bool:
        """Tell whether something is at work on a message."""
        return id_ in self._works

    @contextmanager
    def hold(self, id_: str) -> Iterator[MessageWork]:
        """Hold a message: what is at work on it at the same time shares what is known of it."""
        work = self._works.get(id_)
        if work is None:
            work = self._works[id_] = self._make(id_)
        work.users += 1
        try:
            yield work
        finally:
            work.users -= 1
            if not work.users:
                del self._works[id_]
