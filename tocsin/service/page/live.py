"""What happens, for those who look at the page: gathered by two tasks, and told to each viewer as fast as that one reads."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio

from tocsin.followers import Follower, Followers
from tocsin.protocol.delivery.payload_events import Wanted
from tocsin.protocol.errors import Busy
from tocsin.service.page.markup import Markup
from tocsin.service.page.push_rows import KEPT, PushRows, newest_first, said
from tocsin.service.page.samples import EVERY
from tocsin.service.page.subject import Subject
from tocsin.tasks import Signal, task_group

MAX_VIEWERS: Final = 16
"""Viewers that are told what happens at a time."""

AGAIN: Final = 10.0
"""Seconds after which one too many may come again."""

LINGER: Final = 600.0
"""Seconds that it is noted what comes behind the last look at the page."""

_LOOK_AGAIN: Final = 60.0  # seconds after which it is seen whether there are viewers, though nothing comes
_KEEP_ALIVE: Final = 15.0  # seconds after which a stream says that there is nothing
_NOTHING: Final = ((0, 0), "")  # told from where to where, and in what words


class Live:
    """What viewers are told: rows by their numbers, and the sections that have changed by when they have.

    :param followers: those who are told what comes.
    :param subject: what is looked at.
    :param now: seconds on a clock that never goes back; ``wall`` says what time it is.
    """

    def __init__(
        self, followers: Followers, subject: Subject, now: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self.rows = PushRows()
        self.viewers = 0
        self.followed_since = wall()
        """Since when it is noted what comes."""
        self.trouble = ""
        """Why it is not."""
        self._followers = followers
        self._subject = subject
        self._now = now
        self._wall = wall
        self._life = secrets.token_hex(4)  # tells the numbers of this run from those of another
        self._looked_at = -LINGER
        self._looked = Signal()
        self._is_followed = False
        self._news = anyio.Event()
        self._sections: dict[str, tuple[int, Markup]] = {}  # with the number of the change
        self._changes = 0
        self._rows_told = self._sections_told = _NOTHING
        self._stopping = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Gather what happens while the block runs."""
        async with task_group() as tasks:
            tasks.start_soon(self._take_samples, name="samples for the page")
            tasks.start_soon(self._follow, name="pushes for the page")
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()

    def stop(self) -> None:
        """Let the streams of all viewers end."""
        self._stopping = True
        self._tell()

    def look(self) -> None:
        """Note that the page is looked at: from now on it is noted what comes."""
        self._looked_at = self._now()
        if not self._is_followed:
            self._is_followed = True
            self.followed_since = self._wall()
            self.rows.forget()
            self._rows_told = _NOTHING
            self._looked.set()

    @property
    def place(self) -> str:
        """Where in what comes a viewer is that has seen all rows."""
        return f"{self._life}-{self.rows.latest}"

    def read_place(self, text: str) -> int:
        """Return the number of the last row that a viewer has seen, as :attr:`place` wrote it; 0 where it has seen none."""
        life, _, number = text.partition("-")
        return int(number) if life == self._life and number.isdecimal() and len(number) < 20 else 0

    async def events(self, after: int, may_go_on: Callable[[], bool]) -> AsyncIterator[str]:
        """Give what happens behind a row, as server-sent events; who is too slow loses rows, and is told how many.

        Who is one viewer too many is told nothing but when to come again.

        :param may_go_on: asked each time whether the viewer may still see it.
        """
        if self.viewers >= MAX_VIEWERS:
            yield f"retry: {AGAIN * 1000:.0f}\n\n"
            return
        self.viewers += 1
        change = 0
        try:
            await self.refresh()
            yield "retry: 2000\n\n"
            while not self._stopping and may_go_on():
                self.look()
                news = self._news
                if after < self.rows.latest:
                    told = self._rows_since(after)
                    after = self.rows.latest
                    yield told
                if change < self._changes:
                    told = self._sections_since(change)
                    change = self._changes
                    yield told
                with anyio.move_on_after(_KEEP_ALIVE):
                    await news.wait()
                if not news.is_set():
                    yield ": nothing new\n\n"
        finally:
            self.viewers -= 1
            self._looked_at = self._now()

    async def refresh(self) -> None:
        """Look at what there is, and tell viewers what has changed."""
        written = await self._subject.written()
        changed = {name: text for name, text in written.items() if self._sections.get(name, (0, ""))[1] != text}
        if changed:
            self._changes += 1
            self._sections |= {name: (self._changes, text) for name, text in changed.items()}
            self._tell()

    def _rows_since(self, after: int) -> str:
        """Write the rows behind that one; once for all viewers that have seen as many, which most have."""
        if self._rows_told[0] != (after, self.rows.latest):
            rows, missed = self.rows.news(after)
            told = {"rows": newest_first(rows), "missed": missed, "said": said(rows, missed)}
            self._rows_told = (after, self.rows.latest), _event("rows", told, self.place)
        return self._rows_told[1]

    def _sections_since(self, change: int) -> str:
        """Write the sections that have changed behind that change; once as well."""
        if self._sections_told[0] != (change, self._changes):
            changed = {name: text for name, (number, text) in self._sections.items() if number > change}
            self._sections_told = (change, self._changes), _event("sections", changed)
        return self._sections_told[1]

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def _take_samples(self) -> None:
        while True:
            self._subject.sample(self._now())
            if self.viewers:
                await self.refresh()
            await anyio.sleep(EVERY)

    async def _follow(self) -> None:
        """Note what comes, from a look at the page until a while after the last one."""
        while True:
            await self._looked.wait()
            try:
                with self._followers.follow(Wanted()) as follower:
                    self.trouble = ""
                    await self._note(follower)
            except Busy as busy:
                self.trouble = f"{str(busy).capitalize()}."
            self._is_followed = False

    async def _note(self, follower: Follower) -> None:
        while self.viewers or self._now() < self._looked_at + LINGER:
            with anyio.move_on_after(_LOOK_AGAIN):
                events, lost = await follower.batch()
                self.rows.add(events, lost)
                self._tell()
                await anyio.sleep(pause(len(events)))


def pause(came: int) -> float:
    """Return the seconds that what comes is gathered in before viewers are told, when so many came before: more than are shown can wait."""
    return 0.5 if came <= KEPT else 1.0


def _event(kind: str, data: dict[str, Any], place: str | None = None) -> str:
    number = f"id: {place}\n" if place is not None else ""
    return f"event: {kind}\n{number}data: {json.dumps(data, separators=(',', ':'))}\n\n"
