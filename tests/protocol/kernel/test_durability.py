"""What a store's writer does about commits whose fate is not known."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.kernel.durability import TABLE, Effect, Event, Phase, RecoveryPolicy, classify


class TestTable(Law):
    """A writer keeps the law."""

    table = TABLE
    start = Phase.SOUND
    events = Event
    effects = Effect
    ends = frozenset({Phase.BROKEN})

    def test_a_failed_commit_is_neither_done_nor_undone(self) -> None:
        """From a failure nothing leads to an end of the group but asking."""
        failed = {after: effects for (_, event), (after, effects) in TABLE.items() if event is Event.FAILED}
        assert list(failed) == [Phase.IN_DOUBT]
        for (phase, event), (_, effects) in TABLE.items():
            if phase is Phase.IN_DOUBT and Effect.SETTLE in effects:
                assert event is Event.FOUND


class AnyWriter(AnyEvent):
    """Anything happens to a writer at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """Only a commit that is known to be there is settled; only one that is known not to be is run again."""
        assert (Effect.SETTLE in effects) == (event in {Event.COMMITTED, Event.FOUND})
        assert (Effect.RUN_AGAIN in effects) == (event is Event.MISSING)
        assert (Effect.ASK in effects or Effect.BACK_OFF in effects) == (event in {Event.FAILED, Event.WAITED})

    @invariant()
    def faults_and_recoveries_alternate(self) -> None:
        """The last report says whether there is a fault, and no report comes twice in a row."""
        told = [effect for effect in self.journal if effect in {Effect.TELL_FAULT, Effect.TELL_RECOVERY}]
        assert all(first is not second for first, second in pairwise(told))
        assert not told or told[0] is Effect.TELL_FAULT
        if self.phase is not Phase.BROKEN:
            at_fault = bool(told) and told[-1] is Effect.TELL_FAULT
            assert at_fault == (self.phase is not Phase.SOUND)


TestAnyWriter = AnyWriter.TestCase


class TestClassify:
    """Which event a failure is."""

    @pytest.mark.parametrize(
        ("code", "event"),
        [
            (sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, Event.REFUSED),
            (sqlite3.SQLITE_ERROR, Event.REFUSED),
            (sqlite3.SQLITE_MISMATCH, Event.REFUSED),
            (sqlite3.SQLITE_TOOBIG, Event.REFUSED),
            (None, Event.REFUSED),
            (sqlite3.SQLITE_FULL, Event.FAILED),
            (sqlite3.SQLITE_IOERR_FSYNC, Event.FAILED),
            (sqlite3.SQLITE_IOERR, Event.FAILED),
            (sqlite3.SQLITE_BUSY, Event.FAILED),
            (sqlite3.SQLITE_CANTOPEN, Event.FAILED),
            (sqlite3.SQLITE_READONLY, Event.FAILED),
            (sqlite3.SQLITE_NOMEM, Event.FAILED),
            (sqlite3.SQLITE_CORRUPT_INDEX, Event.CORRUPT),
            (sqlite3.SQLITE_NOTADB, Event.CORRUPT),
        ],
    )
    def test_the_result_code_decides(self, code: int | None, event: Event) -> None:
        """A wrong statement is refused, a damaged file is the end, and anything else may pass."""
        assert classify(code) is event


class TestRecoveryPolicy:
    """How long until the database is asked again."""

    def test_the_wait_doubles_up_to_the_longest(self) -> None:
        """A tenth of a second, twice as long each time, five seconds at most."""
        waits = [RecoveryPolicy().wait(failures) for failures in range(1, 9)]
        assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]

    @given(st.integers(1, 10**9))
    def test_no_wait_is_longer_than_the_longest(self, failures: int) -> None:
        """However long the fault lasts."""
        assert 0 < RecoveryPolicy().wait(failures) <= RecoveryPolicy().longest
