"""Both stores: whatever is called in whatever order, they give the same answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from attrs import astuple
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from tests.strategies import bodies, channel_names, toast_labels
from tocsin.persistence import inbox_changes
from tocsin.persistence import memory_store as memory
from tocsin.persistence import sqlite_store as sqlite
from tocsin.persistence.memory_store import MemoryStore
from tocsin.persistence.sqlite_store import SqliteStore, open_sqlite
from tocsin.persistence.store import Changes, DeadPayload, Store, StoredActivator, StoredChannel, StoredRequest
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import PayloadRow
from tocsin.protocol.platform.usage import MAX_BYTES, NetworkKind, UsageRow
from tocsin.protocol.values import DropReason, NotificationType

KEPT = 6
"""How many ids the stores remember here, so that they forget soon."""

APPS = st.sampled_from(["a", "b"])
TIMES = st.floats(0, 1e10)
FIRST_DAY, LAST_DAY = 739_888, 739_894
DAYS = st.integers(FIRST_DAY, LAST_DAY)
BYTES = st.integers(0, MAX_BYTES)


class BothStores(RuleBasedStateMachine):
    """The store in memory and the one in SQLite get the same calls."""

    sequences = Bundle("sequences")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "app.db"
        self.stack = ExitStack()
        self.portal = self.stack.enter_context(start_blocking_portal())
        self.patch = pytest.MonkeyPatch()
        for module in (memory, inbox_changes, sqlite):
            self.patch.setattr(module, "REMEMBERED", KEPT)
        self.patch.setattr(memory, "_FORGET_EVERY", 3)
        self.last = 0
        self.memory = MemoryStore()
        self.reopen()

    def reopen(self) -> None:
        """Open the file."""
        self.life: AbstractContextManager[SqliteStore] = self.portal.wrap_async_context_manager(open_sqlite(self.path))
        self.sqlite = self.life.__enter__()

    def both(self, call: Callable[[Store], Awaitable[Any]]) -> Any:
        """Call both, and demand that they answer, or fail, alike."""
        answers = [self.portal.call(_answer, call, store) for store in (self.memory, self.sqlite)]
        assert answers[0] == answers[1]
        return answers[0]

    @rule(
        target=sequences,
        accepted=st.lists(
            st.tuples(channel_names(), st.sampled_from(NotificationType), bodies(), st.none() | TIMES, toast_labels()),
            max_size=4,
        ),
        attempt=st.integers(0, 1),
    )
    def payloads_are_accepted(self, accepted: list[tuple[Any, ...]], attempt: int) -> Any:
        """They get the next numbers."""
        new = [
            PayloadRow(self.last + n, f"id{self.last + n}", type_, body, attempt, expires, channel, label.text)
            for n, (channel, type_, body, expires, label) in enumerate(accepted, 1)
        ]
        self.last += len(new)
        self.both(lambda store: store.commit(Changes(accepted=new)))
        return multiple(*(each.sequence for each in new))

    @rule(
        held=st.lists(sequences, max_size=3),
        parked=st.lists(sequences, max_size=3),
        released=st.lists(sequences, max_size=3),
        handled=st.lists(sequences, max_size=3),
        dead=st.lists(st.builds(DeadPayload, sequences, st.sampled_from(DropReason), st.text(), TIMES), max_size=3),
        channel=channel_names(),
        accepts=st.booleans(),
    )
    def a_batch_is_committed(
        self,
        *,
        held: list[int],
        parked: list[int],
        released: list[int],
        handled: list[int],
        dead: list[DeadPayload],
        channel: str,
        accepts: bool,
    ) -> None:
        """The same number may come in any of its parts, in several, and more than once."""
        self.last += accepts
        new = [PayloadRow(self.last, "", NotificationType.RAW, b"", 0, None, channel)] if accepts else []
        ours = [self.last] if accepts else []
        self.both(lambda store: store.commit(Changes(new, [*held, *ours], parked, released, handled, dead)))

    @rule(ends=st.lists(consumes(sequences), max_size=5))
    def payloads_are_handled(self, ends: list[int]) -> None:
        """They leave, and do not come back."""
        self.both(lambda store: store.commit(Changes(handled=ends)))

    @rule(again=sequences, channel=channel_names())
    def a_number_is_accepted_again(self, again: int, channel: str) -> None:
        """Then nothing of the commit is done, as long as it is open."""
        if again in self.memory._open:
            clash = [PayloadRow(number, "x", NotificationType.RAW, b"", 0, None, channel) for number in (99999, again)]
            assert self.both(lambda store: store.commit(Changes(accepted=clash, handled=[again]))) is StateUnavailable

    @rule(parked=st.booleans())
    def all_are_released(self, parked: bool) -> None:
        """Those held, or also those parked."""
        self.both(lambda store: store.release(parked=parked))

    @rule(keep=st.integers(0, 3), before=st.just(0.0) | TIMES)
    def dead_letters_are_pruned(self, keep: int, before: float) -> None:
        """The same ones go, and none of them is lost from the counts."""
        counts = self.both(lambda store: store.dead_letter_counts())
        self.both(lambda store: store.prune_dead_letters(keep, before))
        assert self.both(lambda store: store.dead_letter_counts()) == counts

    @rule(which=st.integers(0, 3), retries=st.booleans())
    def a_dead_letter_is_retried_or_dropped(self, which: int, retries: bool) -> None:
        """Retried it is open again, under its id and a new number, and no longer counted; dropped it stays counted."""
        letters = self.both(lambda store: store.dead_letters(4))
        if which < len(letters):
            letter = letters[which]
            counts = self.both(lambda store: store.dead_letter_counts())
            if retries:
                self.last += 1
                again = [letter.again(self.last, 1e9)]
                self.both(lambda store: store.commit(Changes(accepted=again, retried=[letter.sequence])))
                counts[letter.reason] -= 1
                assert self.last in self.both(lambda store: _sorted(store.open_sequences(letter.channel)))
            else:
                self.both(lambda store: store.commit(Changes(dropped=[letter.sequence, letter.sequence])))
            assert letter not in self.both(lambda store: store.dead_letters(1000))
            left = {reason: count for reason, count in counts.items() if count}
            assert self.both(lambda store: store.dead_letter_counts()) == left

    @rule(
        channel=channel_names(),
        after=st.just(0) | sequences,
        limit=st.integers(1, 5),
        types=st.none() | st.frozensets(st.sampled_from(NotificationType).map(str)),
    )
    def a_page_is_taken(self, channel: str, after: int, limit: int, types: frozenset[str] | None) -> None:
        """The same ones, with the same attempts, of the types that are asked for."""
        page = self.both(lambda store: store.fetch(channel, after, limit, types))
        assert types is None or {row.type for row in page} <= types

    @rule(channel=channel_names(), app=APPS, uri=st.text(), expires=TIMES)
    def a_channel_is_kept(self, channel: str, app: str, uri: str, expires: float) -> None:
        """A new one, or instead of another."""
        self.both(lambda store: store.keep_channel(StoredChannel(channel, app, "0a", uri, expires)))

    @rule(channels=st.lists(channel_names(), max_size=3))
    def channels_are_dropped(self, channels: list[str]) -> None:
        """Whether they are there or not."""
        self.both(lambda store: store.drop_channels(channels))

    @rule(
        activator=st.builds(
            StoredActivator,
            APPS,
            st.sampled_from([1, 4]),
            st.text(),
            st.lists(st.integers(1, 8)).map(tuple),
            st.booleans(),
        )
    )
    def an_activator_is_kept(self, activator: StoredActivator) -> None:
        """A new one, or instead of another."""
        self.both(lambda store: store.keep_activator(activator))

    @rule(app=APPS, activator=st.sampled_from([1, 4]))
    def an_activator_is_dropped(self, app: str, activator: int) -> None:
        """Whether it is there or not."""
        self.both(lambda store: store.drop_activator(app, activator))

    @rule(
        request=st.builds(
            StoredRequest, APPS, APPS, st.integers(1, 6), st.integers(0, 2**32 - 1), st.text(), TIMES, TIMES
        )
    )
    def a_request_is_kept(self, request: StoredRequest) -> None:
        """A new one, or instead of another."""
        self.both(lambda store: store.keep_request(request))

    @rule(app=APPS, remote_id=APPS)
    def a_request_is_dropped(self, app: str, remote_id: str) -> None:
        """Whether it is there or not."""
        self.both(lambda store: store.drop_request(app, remote_id))

    @rule(key=st.sampled_from(["key", "KEY", "other"]), value=st.text())
    def a_setting_is_kept(self, key: str, value: str) -> None:
        """The last value counts."""
        self.both(lambda store: store.keep_value(key, value))
        assert self.both(lambda store: store.value(key)) == value

    @rule(
        rows=st.lists(st.builds(UsageRow, DAYS, APPS | st.just(""), st.sampled_from(NetworkKind), BYTES, BYTES)),
        oldest=st.just(FIRST_DAY) | DAYS,
    )
    def usage_is_kept(self, rows: list[UsageRow], oldest: int) -> None:
        """New rows, or instead of others; days before the oldest go, also among the new ones."""
        self.both(lambda store: store.keep_usage(rows, oldest))
        days = self.both(lambda store: _sorted(_days(store)))
        assert all(day >= oldest for day in days)

    @rule(app=APPS)
    def usage_is_dropped(self, app: str) -> None:
        """Whether there is any or not."""
        self.both(lambda store: store.drop_usage(app))
        assert self.both(lambda store: store.usage(FIRST_DAY, LAST_DAY, app)) == []

    @rule(first=DAYS, last=DAYS, app=APPS | st.none())
    def usage_is_looked_at(self, first: int, last: int, app: str | None) -> None:
        """Of some days, and of one app or all."""
        rows = self.both(lambda store: _sorted(store.usage(first, last, app), key=astuple))
        assert all(first <= row.day <= last and app in {None, row.app} for row in rows)

    @rule()
    def the_stores_are_closed_and_opened(self) -> None:
        """The file is opened anew; the store in memory just goes on."""
        self.life.__exit__(None, None, None)
        self.reopen()

    @invariant()
    def they_agree(self) -> None:
        """On all that can be asked without changing anything; where no order was promised, none is looked at."""
        inboxes = [self.portal.call(store.inbox) for store in (self.memory, self.sqlite)]
        assert inboxes[0].last_sequence == inboxes[1].last_sequence == self.last
        assert inboxes[0].recent_ids == inboxes[1].recent_ids
        assert sorted(inboxes[0].open_channels) == sorted(inboxes[1].open_channels)
        for channel in ("c1", "c2", "c3"):
            self.both(lambda store, channel=channel: _sorted(store.open_sequences(channel)))  # type: ignore[misc]
        for limit in (2, 1000):
            letters = self.both(lambda store, limit=limit: store.dead_letters(limit))  # type: ignore[misc]
            for app in ("a", ""):
                self.both(lambda store, limit=limit, app=app: store.dead_letters(limit, app=app))  # type: ignore[misc]
        for letter in letters[:2]:
            self.both(lambda store, of=letter: store.dead_letters(2, app=of.app, reason=of.reason))  # type: ignore[misc]
            self.both(lambda store, of=letter: store.dead_letters(2, reason=of.reason))  # type: ignore[misc]
            self.both(lambda store, of=letter: store.dead_letter(of.id))  # type: ignore[misc]
            self.both(lambda store, of=letter: store.dead_letter_ids(of.id[:-1], 2))  # type: ignore[misc]
        self.both(lambda store: store.dead_letter_counts())
        self.both(lambda store: _sorted(store.channels(), key=lambda each: each.channel))
        self.both(lambda store: _sorted(store.activators(), key=lambda each: (each.app, each.activator)))
        self.both(lambda store: _sorted(store.requests(), key=lambda each: (each.app, each.remote_id)))
        self.both(lambda store: _sorted(store.usage(FIRST_DAY, LAST_DAY), key=astuple))
        self.both(lambda store: store.value("other"))

    def teardown(self) -> None:
        """Close everything."""
        self.life.__exit__(None, None, None)
        self.stack.close()
        self.patch.undo()
        self.folder.cleanup()


async def _answer(call: Callable[[Store], Awaitable[Any]], store: Store) -> Any:
    """Return what a call answered, or that the store failed."""
    try:
        return await call(store)
    except StateUnavailable:
        return StateUnavailable


async def _days(store: Store) -> list[int]:
    """Return the days of which there is usage."""
    return [row.day for row in await store.usage(FIRST_DAY, LAST_DAY)]


async def _sorted(call: Coroutine[Any, Any, list[Any]], key: Callable[[Any], Any] | None = None) -> list[Any]:
    """Return an answer whose order was not promised."""
    return sorted(await call, key=key)


TestBothStores = BothStores.TestCase
TestBothStores.settings = settings(max_examples=settings().max_examples // 4, stateful_step_count=20)
