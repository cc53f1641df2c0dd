"""The service's time: it goes on steadily, whatever the machine's wall clock is set to.

It began as the wall clock's. Once the wall clock is set while the service runs, they differ, and go on to differ: what
was set by the service's time ends when so many seconds have gone by. How they differ is kept, so that it is the same
after a restart. How long the service did not run is what the steady clock says where the machine ran on (Linux); else what
the wall clock says, and no time where that went back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.platform.service_time import Mark, ServiceTime
from tocsin.service.registry.service_store import ServiceStore
from tocsin.steady import boot, steady
from tocsin.tasks import task_group

LOOK_EVERY = 60.0
"""Seconds from one look at the wall clock to the next."""

KEEP_EVERY = 3_600.0
"""Seconds after which it is kept what time it is, also where the wall clock was not set."""

NOTICED = 1.0
"""Seconds by which the wall clock must have been set to be noticed."""

_KEY = "time"

logger = logging.getLogger(__name__)


class SteadyClock:
    """Tells the service's time when it is called, in seconds since the epoch; made by :meth:`load`.

    :param mark: what was kept.
    :param wall: the machine's wall clock, in seconds since the epoch.
    :param steadily: a clock that is not set, in seconds from anywhere.
    :param run: names the run of the machine in which that clock goes on from process to process; empty where it does not.
    """

    def __init__(self, mark: Mark, wall: Callable[[], float], steadily: Callable[[], float], run: str = "") -> None:
        self._wall = wall
        self._steadily = steadily
        self._run = run
        self._kept = mark
        self._failed = False
        now = steadily()
        self._absence = mark.absence(wall(), now, run)
        # What is likely counts: a service has no other clock to ask.
        self._ahead = ServiceTime.recalled(mark, wall(), now, run).likely(now) - now

    @classmethod
    async def load(cls, store: ServiceStore, wall: Callable[[], float] | None = None) -> SteadyClock:
        """Go on from what the store has kept.

        :raises StateUnavailable: the store cannot be read.
        """
        kept = await store.meta(_KEY)
        return cls(Mark.parse(kept.decode() if kept else None), wall or time.time, steady, boot())

    def __call__(self) -> float:
        """Tell the time; each post asks for it, more than once."""
        return self._steadily() + self._ahead

    async def keep(self, store: ServiceStore) -> None:
        """Keep for the next start what time it is now.

        :raises StateUnavailable: it could not be written.
        """
        mark = Mark(self(), self._wall(), self._steadily(), self._run)
        await store.set_meta(_KEY, str(mark).encode())
        self._kept = mark

    async def tell_what_ended(self, store: ServiceStore) -> None:
        """Log what has ended while the service did not run, where only the wall clock says for how long that was.

        :raises StateUnavailable: the store cannot be read.
        """
        if self._absence.certain:
            return
        channels, stored = await store.count_ended(self._kept.service, self())
        if channels or stored:
            level = logging.WARNING if self._absence.doubtful else logging.INFO
            text = (
                "%d channels and %d stored notifications have ended while the service was off, for %.0f s by the machine's"
                " clock; if that was set meanwhile, or is wrong, they have ended too soon"
            )
            logger.log(level, text, channels, stored, self._absence.seconds)

    @property
    def was_set(self) -> float:
        """By how many seconds the wall clock was set forward since it was kept, less than 0 where it was set back."""
        return (self._wall() - self()) - (self._kept.wall - self._kept.service)

    async def look(self, store: ServiceStore, *, last: bool = False) -> None:
        """Keep what time it is if the wall clock was set, or if it was kept long ago; what cannot be kept now is later.

        :param last: whether this is the last look; that the store cannot be written, it has told by itself.
        """
        by = self.was_set
        if abs(by) <= NOTICED and self() - self._kept.service <= KEEP_EVERY:
            return
        try:
            await self.keep(store)
        except StateUnavailable as failure:
            if not self._failed and not last:
                logger.warning("what time it is could not be kept, which is tried again and again: %s", failure)
            self._failed = True
            return
        self._failed = False
        if abs(by) > NOTICED:
            logger.warning("the machine's clock was set by %+.0f s; nothing ends sooner or later by that", by)


@asynccontextmanager
async def steady_clock(store: ServiceStore) -> AsyncIterator[Callable[[], float]]:
    """Go on with the service's time where the store has kept it, and look at the wall clock until the block is left.

    :return: what tells the time.

    :raises StateUnavailable: the store cannot be read.
    """
    clock = await SteadyClock.load(store)
    await clock.tell_what_ended(store)
    try:
        async with task_group() as tasks:
            tasks.start_soon(_look_regularly, clock, store, name="looking at the wall clock")
            try:
                yield clock.__call__  # to call the object itself takes twice as long
            finally:
                tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):  # bounded: the service's store has a patience
            await clock.look(store, last=True)


async def _look_regularly(clock: SteadyClock, store: ServiceStore) -> None:
    while True:
        await clock.look(store)
        await anyio.sleep(LOOK_EVERY)
