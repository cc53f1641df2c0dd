"""The store in SQLite keeps what :class:`tocsin.persistence.store.Store` promises."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve

from tests.persistence.payloads import dead, payload
from tocsin.persistence import inbox_changes
from tocsin.persistence import memory_store as memory
from tocsin.persistence import sqlite_store as sqlite
from tocsin.persistence.database import open_database
from tocsin.persistence.memory_store import MemoryStore
from tocsin.persistence.sqlite_store import open_sqlite
from tocsin.persistence.store import REMEMBERED, Changes, DeadPayload, InboxSummary, Store, StoredChannel
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import PayloadRow
from tocsin.protocol.toast_label import NO_LABEL, LabelText
from tocsin.protocol.values import DropReason, NotificationType

CHANNEL = StoredChannel("c1", "app", "0a", "http://push.test/w/?token=1", 4e9)
Call = Callable[[Store], Awaitable[object]]
DEAD_LETTERS = "SELECT sequence, channel, id, type, body, attempt, reason, detail, at FROM dead_letter"


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Ask the file itself, without the code under test."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    """Open an empty store."""
    async with open_sqlite(path) as store:
        yield store


class TestInbox:
    """Payloads that were accepted and have not ended."""

    @pytest.mark.parametrize("type_", NotificationType)
    @pytest.mark.parametrize("body", [b"", b"\0\xff", bytes(5000)], ids=len)
    @pytest.mark.parametrize("expires", [None, 0.0, 1.5e9])
    @pytest.mark.parametrize("label", [NO_LABEL, LabelText("tag/group!")])
    async def test_a_payload_comes_back_as_it_was(
        self, store: Store, type_: NotificationType, body: bytes, expires: float | None, label: LabelText
    ) -> None:
        """Only its attempt is raised by one."""
        accepted = PayloadRow(7, "", type_, body, 3, expires, "c\0 ☃", label)
        await store.commit(Changes(accepted=[accepted]))
        (taken,) = await store.fetch("c\0 ☃", 0, 10)
        assert taken == accepted._replace(attempt=4)

    async def test_pages_follow_each_other_in_order(self, store: Store) -> None:
        """Whatever the order of acceptance, each channel's payloads come by their numbers, behind the last one."""
        await store.commit(Changes(accepted=[payload(n, f"c{n % 2}") for n in (5, 3, 1, 2, 6, 4)]))
        pages = [[each.sequence for each in await store.fetch("c1", after, 2)] for after in (0, 3, 5)]
        assert pages == [[1, 3], [5], []]
        assert sorted(await store.open_sequences("c0")) == [2, 4, 6]

    async def test_every_taking_counts_as_an_attempt_over_restarts(self, path: Path) -> None:
        """A handler that is killed each time finds the number rising; who was not taken keeps his."""
        async with open_sqlite(path) as store:
            await store.commit(Changes(accepted=[payload(1), payload(2, attempt=1)]))
        for attempt in (1, 2, 3):
            async with open_sqlite(path) as store:
                assert [each.attempt for each in await store.fetch("c1", 0, 1)] == [attempt]
        async with open_sqlite(path) as store:
            assert [each.attempt for each in await store.fetch("c1", 1, 1)] == [2]

    async def test_a_payload_may_end_in_the_commit_that_accepts_it(self, store: Store) -> None:
        """It is remembered, but never taken; and a commit of nothing is none the worse."""
        await store.commit(Changes())
        assert await store.inbox() == InboxSummary(0, (), ())
        await store.commit(Changes(accepted=[payload(1), payload(2)], handled=[1], dead=[dead(2)]))
        assert await store.fetch("c1", 0, 10) == []
        assert await store.inbox() == InboxSummary(2, ("id1", "id2"), ())

    async def test_an_ended_payload_is_gone(self, store: Store, path: Path) -> None:
        """What its app has handled is not kept."""
        await store.commit(Changes(accepted=[payload(1, body=b"secret"), payload(2, body=b"open")], handled=[1]))
        assert ask(path, "SELECT body FROM inbox ORDER BY sequence") == [(b"open",)]

    async def test_a_commit_that_fails_leaves_everything_as_it_was(self, store: Store, path: Path) -> None:
        """Neither its payloads nor its ends count."""
        await store.commit(Changes(accepted=[payload(1), payload(2)]))
        with pytest.raises(StateUnavailable):
            await store.commit(Changes(accepted=[payload(3), payload(2)], handled=[1], dead=[dead(2)]))
        assert await store.inbox() == InboxSummary(2, ("id1", "id2"), ("c1",))
        assert await store.open_sequences("c1") == [1, 2]
        assert ask(path, DEAD_LETTERS) == []


class TestDeadLetters:
    """Payloads that ended without being handled."""

    @pytest.mark.parametrize("reason", DropReason)
    async def test_a_dead_letter_says_why(self, store: Store, path: Path, reason: DropReason) -> None:
        """The payload, its attempts, the reason, the detail and the moment are there to be looked at."""
        await store.commit(
            Changes(accepted=[payload(1, body=b"\0b", attempt=2)], dead=[DeadPayload(1, reason, "no: ☃", 12.5)])
        )
        assert ask(path, DEAD_LETTERS) == [(1, "c1", "id1", "raw", b"\0b", 2, reason.value, "no: ☃", 12.5)]

    async def test_what_has_ended_does_not_die_again(self, store: Store, path: Path) -> None:
        """The first end counts; an unknown number is no dead letter."""
        await store.commit(Changes(accepted=[payload(1), payload(2)], handled=[1], dead=[dead(2, "first")]))
        await store.commit(Changes(dead=[dead(1), dead(2, "second"), dead(99)]))
        assert [(row[0], row[7]) for row in ask(path, DEAD_LETTERS)] == [(2, "first")]


class TestMemory:
    """What is remembered of payloads that have ended."""

    async def test_the_newest_ids_are_remembered_and_older_ones_forgotten(self, path: Path) -> None:
        """In order, over a restart, and no more rows than needed; what is open is never forgotten."""
        count = REMEMBERED + 1000
        async with open_sqlite(path) as store:
            await store.commit(Changes(accepted=[payload(n + 1) for n in range(count)], handled=range(2, count + 1)))
        async with open_sqlite(path) as store:
            newest = tuple(f"id{n + 1}" for n in range(count - REMEMBERED, count))
            assert await store.inbox() == InboxSummary(count, newest, ("c1",))
            assert [each.sequence for each in await store.fetch("c1", 0, 10)] == [1]
        assert ask(path, "SELECT count(*) FROM inbox") == [(1,)]

    async def test_many_small_commits_are_forgotten_too(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The inbox stays small however long it runs, and its numbers go on over a restart."""
        for module in (inbox_changes, sqlite):
            monkeypatch.setattr(module, "REMEMBERED", 8)
        monkeypatch.setattr(inbox_changes, "FORGET_EVERY", 4)
        async with open_sqlite(path) as store:
            for n in range(1, 41):
                await store.commit(
                    Changes(accepted=[payload(n)], handled=[n] if n % 2 else [], dead=[] if n % 2 else [dead(n)])
                )
                assert ask(path, "SELECT count(*) FROM inbox") == [(0,)]
                assert ask(path, "SELECT count(*) <= 8 + 4 FROM remembered") == [(1,)]
        async with open_sqlite(path) as store:
            assert await store.inbox() == InboxSummary(40, tuple(f"id{n}" for n in range(33, 41)), ())

    async def test_numbers_go_on_behind_the_dead_letters(self, path: Path) -> None:
        """Even a store whose inbox was emptied does not give a number twice."""
        async with open_sqlite(path) as store:
            await store.commit(Changes(accepted=[payload(n) for n in range(1, 6)], dead=[dead(5)]))
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("DELETE FROM inbox")
            connection.execute("DELETE FROM remembered")
        async with open_sqlite(path) as store:
            assert await store.inbox() == InboxSummary(5, (), ())

    async def test_a_database_of_an_earlier_version_is_remembered(self, path: Path) -> None:
        """Its ended rows become remembered ids; its open ones stay as they are."""
        async with open_database(path, sqlite.MIGRATIONS[:3]) as database:
            rows = [(n, "c1", f"id{n}", "raw", b"ding", 1, None, 0 if n < 4 else n - 3) for n in range(1, 7)]
            await database.write(("INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows))
        async with open_sqlite(path) as store:
            assert await store.inbox() == InboxSummary(6, tuple(f"id{n}" for n in range(1, 7)), ("c1",))
            assert [each.sequence for each in await store.fetch("c1", 0, 10)] == [4]
            assert sorted(await store.open_sequences("c1")) == [4, 5, 6]


class TestChannelsAndSettings:
    """What else is kept."""

    async def test_a_channel_is_kept_and_replaced(self, path: Path) -> None:
        """The last one under a name counts, over a restart."""
        renewed = evolve(CHANNEL, uri="http://push.test/w/?token=2", expires=5e9)
        other = evolve(CHANNEL, channel="c2")
        async with open_sqlite(path) as store:
            assert await store.channels() == []
            for channel in (CHANNEL, other, renewed):
                await store.keep_channel(channel)
        async with open_sqlite(path) as store:
            assert sorted(await store.channels(), key=lambda each: each.channel) == [renewed, other]

    async def test_channels_are_dropped_together(self, store: Store) -> None:
        """Those that are named and no others; what is not there is not missed, and none is fine."""
        for name in ("c1", "c2", "c3"):
            await store.keep_channel(evolve(CHANNEL, channel=name))
        await store.drop_channels([])
        await store.drop_channels(["c1", "c3", "never"])
        assert [each.channel for each in await store.channels()] == ["c2"]

    @pytest.mark.parametrize("module", [sqlite, memory])
    async def test_of_what_was_dropped_last_it_is_known_whose_it_was(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType
    ) -> None:
        """So dead letters name their apps, also those of payloads that came after the channel had gone."""
        monkeypatch.setattr(module, "FORMER_CHANNELS", 2)
        async with open_sqlite(path) as on_disk:
            store: Store = on_disk if module is sqlite else MemoryStore()
            names = ["c1", "c2", "c3", "c4"]
            for name in names:
                await store.keep_channel(evolve(CHANNEL, channel=name, app=f"app of {name}"))
            await store.commit(Changes(accepted=[payload(1, "c3")]))
            for name in names[:3]:
                await store.drop_channels([name])
            accepted = [payload(number, name) for number, name in enumerate((*names, "never"), 2)]
            await store.commit(Changes(accepted=accepted, dead=[dead(number) for number in range(1, 7)]))
            letters = [(each.channel, each.app) for each in await store.dead_letters(10)]
        assert letters == [
            ("never", ""), ("c4", "app of c4"), ("c3", "app of c3"), ("c2", "app of c2"), ("c1", ""), ("c3", "app of c3"),
        ]  # fmt: skip

    async def test_a_setting_is_kept_and_replaced(self, path: Path) -> None:
        """The last value counts, over a restart; a setting that was never made is None."""
        async with open_sqlite(path) as store:
            for value in ("old", "", "new ☃"):
                await store.keep_value("key", value)
                assert await store.value("key") == value
            assert await store.value("KEY") is None
        async with open_sqlite(path) as store:
            assert await store.value("key") == "new ☃"


class TestFailure:
    """A store that cannot go on."""

    CALLS: Sequence[Call] = (
        lambda store: store.value("key"),
        lambda store: store.keep_value("key", "value"),
        lambda store: store.channels(),
        lambda store: store.keep_channel(CHANNEL),
        lambda store: store.drop_channels(["c1"]),
        lambda store: store.inbox(),
        lambda store: store.commit(Changes(accepted=[payload(1)])),
        lambda store: store.fetch("c1", 0, 1),
        lambda store: store.open_sequences("c1"),
    )

    @pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
    async def test_every_method_says_so_in_a_sentence(self, store: Store, path: Path, call: Call) -> None:
        """It names the file, whatever failed."""
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for table in ("setting", "channel", "inbox", "dead_letter"):
                connection.execute(f"DROP TABLE {table}")
        with pytest.raises(StateUnavailable, match=rf"^{path} cannot be used: no such table"):
            await call(store)
