"""The store in SQLite against a model of it."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.persistence.payloads import dead, payload
from tests.strategies import bodies, channel_names
from tocsin.persistence import inbox_changes
from tocsin.persistence import sqlite_store as sqlite
from tocsin.persistence.sqlite_store import SqliteStore, open_sqlite
from tocsin.persistence.store import Changes
from tocsin.protocol.messages import PayloadRow


class StoreAndModel(RuleBasedStateMachine):
    """Whatever is accepted, taken and ended in any order, the store agrees with a model; it forgets soon here."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "app.db"
        self.stack = ExitStack()
        self.portal = self.stack.enter_context(start_blocking_portal())
        self.patch = pytest.MonkeyPatch()
        for module in (inbox_changes, sqlite):
            self.patch.setattr(module, "REMEMBERED", 6)
        self.patch.setattr(inbox_changes, "FORGET_EVERY", 2)
        self.open: dict[int, PayloadRow] = {}
        self.ids: list[str] = []
        self.letters: list[tuple[int, bytes]] = []
        self.reopen()

    def reopen(self) -> None:
        """Open the store."""
        self.life: AbstractContextManager[SqliteStore] = self.portal.wrap_async_context_manager(open_sqlite(self.path))
        self.store = self.life.__enter__()

    @rule(
        accepted=st.lists(st.tuples(channel_names(), bodies(), st.integers(0, 3)), max_size=6),
        ends=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["handled", "dead"])), max_size=8),
    )
    def a_batch_is_committed(self, accepted: list[tuple[str, bytes, int]], ends: list[tuple[int, str]]) -> None:
        """Some are accepted, some end; some of those that end have ended before, or were never there."""
        first = len(self.ids) + 1
        new = [payload(first + n, *each) for n, each in enumerate(accepted)]
        self.open |= {each.sequence: each for each in new}
        self.ids += [each.id for each in new]
        back = {max(len(self.ids) - ago, 0): how for ago, how in ends}
        handled = [sequence for sequence, how in back.items() if how == "handled"]
        died = [sequence for sequence, how in back.items() if how == "dead"]
        changes = Changes(accepted=new, handled=handled, dead=[dead(sequence) for sequence in died])
        self.portal.call(self.store.commit, changes)
        self.letters += [(sequence, self.open[sequence].body) for sequence in died if sequence in self.open]
        for sequence in back:
            self.open.pop(sequence, None)

    @rule(channel=channel_names(), after=st.integers(0, 40), limit=st.integers(1, 5))
    def a_page_is_taken(self, channel: str, after: int, limit: int) -> None:
        """It holds the next open ones, in order."""
        found = [each for number, each in sorted(self.open.items()) if each.channel == channel and number > after]
        expected = [each._replace(attempt=each.attempt + 1) for each in found[:limit]]
        assert self.portal.call(self.store.fetch, channel, after, limit) == expected
        self.open |= {each.sequence: each for each in expected}

    @rule()
    def it_is_opened_again(self) -> None:
        """Nothing of it lived in memory only."""
        self.life.__exit__(None, None, None)
        self.reopen()

    @invariant()
    def they_agree(self) -> None:
        """On the numbers, the newest ids, what is open, and what has died."""
        for channel in ("c1", "c2", "c3"):
            numbers = self.portal.call(self.store.open_sequences, channel)
            assert sorted(numbers) == sorted(n for n, each in self.open.items() if each.channel == channel)
        inbox = self.portal.call(self.store.inbox)
        assert (inbox.last_sequence, inbox.recent_ids) == (len(self.ids), tuple(self.ids[-6:]))
        assert sorted(inbox.open_channels) == sorted({each.channel for each in self.open.values()})
        letters = self.portal.call(
            self.store._database.read, "SELECT sequence, body FROM dead_letter ORDER BY sequence"
        )
        assert letters == sorted(self.letters)

    def teardown(self) -> None:
        """Close everything."""
        self.life.__exit__(None, None, None)
        self.stack.close()
        self.patch.undo()
        self.folder.cleanup()


TestStoreAndModel = StoreAndModel.TestCase


TestStoreAndModel.settings = settings(max_examples=settings().max_examples // 4, stateful_step_count=15)
