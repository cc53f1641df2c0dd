"""What this node keeps in memory of what all nodes share follows what the others write."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from typing import Final

import anyio

from tocsin.protocol.errors import StateUnavailable
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.registry.apps import Apps
from tocsin.service.registry.change_feed import Change, ChangeFeed, ChangeKind
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.hubs import Hubs
from tocsin.service.registry.shared_store import SharedStore
from tocsin.steady import steady
from tocsin.tasks import Signal, task_group

LOOK_EVERY: Final = 1.0
"""Seconds after which changes are looked for though none was heard of."""

STALE: Final = 10.0
"""Seconds after which what is in memory does not count any more, since it is not known whether it has changed."""

Apply = Callable[[AbstractSet[str] | None], Awaitable[None]]
"""Takes the keys of what has changed, and reads that anew; None: whatever there is."""

logger = logging.getLogger(__name__)


class ChangeFollower:
    """Reads the changes of all nodes, its own included, in whatever order, some twice: to apply one again does no harm.

    It has to :meth:`begin` before what is kept in memory is read for the first time.
    """

    def __init__(self, feed: ChangeFeed, recurring: RepeatLog) -> None:
        self._feed = feed
        self._recurring = recurring
        self._apply: Mapping[ChangeKind, Apply] = {}
        self._place = 0
        self._applied: frozenset[Change] = frozenset()  # those behind the place, which come once more
        self._read_at = 0.0
        self._lapses = self._made_good = 0
        self._looking = anyio.Lock()
        self._woken = Signal()

    async def begin(self) -> None:
        """Note from which change on what is read from now on may not show it.

        :raises StateUnavailable: the store cannot be read.
        """
        self._read_at = steady()
        self._place = await self._feed.place()

    @asynccontextmanager
    async def following(self, apply: Mapping[ChangeKind, Apply]) -> AsyncIterator[None]:
        """Apply changes until the block is left; other kinds than these are passed over."""
        self._apply = apply
        async with task_group() as tasks:
            tasks.start_soon(self._feed.listen, self._woken.set, name="listening for changes of other nodes")
            tasks.start_soon(self._follow, name="following the changes of other nodes")
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()

    @property
    def lag(self) -> float:
        """For how many seconds it is not known whether something has changed; above ``LOOK_EVERY`` the store does not answer."""
        return steady() - self._read_at

    def is_fresh(self) -> bool:
        """Tell whether what is in memory counts; asked of each post when it comes."""
        return self._lapses == self._made_good and steady() - self._read_at < STALE

    def lapse(self) -> None:
        """Have everything read anew before it counts, since this node may not have followed for a while."""
        self._lapses += 1
        self._woken.set()

    async def look(self) -> None:
        """Apply what has changed by now, or read everything after a lapse.

        :raises StateUnavailable: the store cannot be read; the next look begins where this one did.
        """
        async with self._looking:
            if self._lapses != self._made_good:
                await self._reload()
            began = steady()
            seen = await self._feed.since(self._place)
            news = seen.changes - self._applied
            # A database that goes back is another one, such as a copy that took the place of the first.
            if seen.place < self._place or any(change.kind == ChangeKind.ERASED.value for change in news):
                await self._reload()
                return
            for kind, apply in self._apply.items():
                keys = {change.key for change in news if change.kind == kind.value}
                if keys:
                    await apply(None if "" in keys else keys)
            self._place = seen.place
            self._applied = frozenset(change for change in seen.changes if change.number >= seen.place)
            self._read_at = began

    async def _reload(self) -> None:
        """Read everything anew: what is changed meanwhile is behind the place, and comes once more."""
        began, lapses = steady(), self._lapses
        place = await self._feed.place()
        for apply in self._apply.values():
            await apply(None)
        self._place, self._applied, self._read_at, self._made_good = place, frozenset(), began, lapses

    async def _follow(self) -> None:
        while True:
            try:
                await self.look()
            except StateUnavailable as failure:
                self._recurring.log(
                    logger, logging.WARNING, "changes", "changes of other nodes are not known for now: %s", failure
                )
            await self._woken.wait_until(anyio.current_time() + LOOK_EVERY)


def what_follows(  # noqa: PLR0913, PLR0917  # the caches of a service
    store: SharedStore,
    registrations: Apps,
    channels: Channels,
    hubs: Hubs,
    unwanted: UnwantedPushes,
    wake_hub: Callable[[], None],
) -> dict[ChangeKind, Apply]:
    """Return how each part of what a service keeps in memory follows its store."""

    async def read_apps(_: AbstractSet[str] | None) -> None:
        await registrations.reload()

    async def forget_channels(keys: AbstractSet[str] | None) -> None:
        channels.directory.forget(None if keys is None else map(bytes.fromhex, keys))

    async def read_hubs(_: AbstractSet[str] | None) -> None:
        await hubs.reload()

    async def read_unwanted(keys: AbstractSet[str] | None) -> None:
        if keys is None:
            await unwanted.reload()
        else:
            unwanted.follow(keys, await store.unwanted_of(keys))

    async def look_for_messages(_: AbstractSet[str] | None) -> None:
        wake_hub()

    return {
        ChangeKind.APPS: read_apps,
        ChangeKind.CHANNELS: forget_channels,
        ChangeKind.HUBS: read_hubs,
        ChangeKind.UNWANTED: read_unwanted,
        ChangeKind.MESSAGES: look_for_messages,
    }
