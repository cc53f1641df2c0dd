"""Those who follow payloads: each hears of what it wants, as far as it listens; no other waits for it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tocsin.protocol.delivery.payload_events import PayloadEvent, Wanted
from tocsin.protocol.errors import Busy
from tocsin.tasks import Signal

MAX_FOLLOWERS = 4
"""Followers at a time."""

MAX_UNHEARD = 10_000
"""Events that may wait for a follower; what comes when there are more is lost to it, and counted."""


class Follower:
    """One who follows; :meth:`batch` returns what has happened since the last time."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._lost = 0
        self._events: deque[PayloadEvent] = deque()
        self._came = Signal()

    def tell(self, event: PayloadEvent) -> None:
        """Let an event wait to be heard, if it is wanted."""
        if not self._wanted.has(event):
            return
        if len(self._events) < MAX_UNHEARD:
            self._events.append(event)
        else:
            self._lost += 1
        self._came.set()

    def lose(self, number: int) -> None:
        """Count events that were lost before they came here."""
        self._lost += number

    async def batch(self) -> tuple[list[PayloadEvent], int]:
        """Wait for events, and return them with how many were lost behind them."""
        while not self._events:
            await self._came.wait()
        events, lost = list(self._events), self._lost
        self._events.clear()
        self._lost = 0
        return events, lost


class Followers:
    """All who follow."""

    def __init__(self) -> None:
        self.all: list[Follower] = []
        """Those that there are; changed here only."""

    def __len__(self) -> int:
        return len(self.all)

    @contextmanager
    def follow(self, wanted: Wanted) -> Iterator[Follower]:
        """Follow while the block runs.

        :raises Busy: there are as many followers as there may be.
        """
        follower = Follower(wanted)
        with self.heard_by(follower):
            yield follower

    @contextmanager
    def heard_by(self, follower: Follower) -> Iterator[None]:
        """Let one who follows hear of this too while the block runs.

        :raises Busy: there are as many followers as there may be.
        """
        self.check_room()
        self.all.append(follower)
        try:
            yield
        finally:
            self.all.remove(follower)

    def events(self, request: dict[str, Any], *others: Followers) -> AsyncGenerator[list[dict[str, Any]]]:
        """Return what happens from now on, as objects for JSON: events, and how many were lost between them.

        :param request: what is wanted, as :meth:`Wanted.read` takes it.
        :param others: what tells of payloads too; all is returned in the order in which it is told.
        :raises InvalidArgument: what is wanted is no list, or not of what there is.
        :raises Busy: there are as many followers as there may be.
        """
        wanted = Wanted.read(request)
        for each in (self, *others):
            each.check_room()
        return self._events(wanted, others)

    async def _events(self, wanted: Wanted, others: Iterable[Followers]) -> AsyncGenerator[list[dict[str, Any]]]:
        with self.follow(wanted) as follower, ExitStack() as stack:
            for each in others:
                stack.enter_context(each.heard_by(follower))
            while True:
                events, lost = await follower.batch()
                yield [event.fields() for event in events] + ([{"lost": lost}] if lost else [])

    def check_room(self) -> None:
        """See that one more may follow.

        :raises Busy: there are as many followers as there may be.
        """
        if len(self.all) >= MAX_FOLLOWERS:
            raise Busy(f"{MAX_FOLLOWERS} commands follow payloads already; end one of them")

    def tell(self, event: PayloadEvent) -> None:
        """Tell all of them."""
        for follower in self.all:
            follower.tell(event)

    def lose(self, number: int) -> None:
        """Have all of them count events that were lost before they came here."""
        for follower in self.all:
            follower.lose(number)
