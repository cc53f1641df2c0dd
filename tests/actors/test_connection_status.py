"""What is known of the connection, whatever happens to the machine's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tocsin.actors.clock import LoopClock
from tocsin.actors.connection_status import ConnectionRecord
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ConnectionDown, ConnectionUp
from tocsin.protocol.network.causes import ConnectionCause

EPOCH = datetime(2026, 11, 28, tzinfo=UTC)


class TwoClocks(LoopClock):
    """A clock of the loop and one on the wall, each moved by hand."""

    def __init__(self) -> None:
        super().__init__(seed=0)
        self.loop = 100.0
        self.shown = EPOCH

    def monotonic(self) -> float:
        """Return the loop's seconds."""
        return self.loop

    def wall(self) -> float:
        """Return what the wall shows."""
        return self.shown.timestamp()

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.loop += seconds
        self.shown += timedelta(seconds=seconds)


def seconds(count: float) -> timedelta:
    """Return so many seconds."""
    return timedelta(seconds=count)


def down(cause: ConnectionCause, wait: float, text: str = "words") -> ConnectionDown:
    """Build what the connection says."""
    return ConnectionDown(cause, text, wait)


def test_before_the_first_attempt_nothing_is_known() -> None:
    """There is no connection, and no cause yet."""
    status = ConnectionRecord(TwoClocks()).status()
    assert (status.connected, status.cause, status.text, status.hresult, status.next_attempt) == (
        False,
        None,
        "",
        0,
        None,
    )
    assert status.since == EPOCH


def test_a_cause_has_its_code_its_begin_and_the_next_attempt() -> None:
    """Until that attempt is being made."""
    clock = TwoClocks()
    record = ConnectionRecord(clock)
    assert record.note(down(ConnectionCause.REFUSED, 5))
    clock.move(3)
    status = record.status()
    assert (status.connected, status.cause, status.text) == (False, ConnectionCause.REFUSED, "words")
    assert status.hresult is HResult.RPC_S_SERVER_UNAVAILABLE
    assert "hresult=RPC_S_SERVER_UNAVAILABLE (0x800706BA)" in repr(status)
    assert (status.since, status.next_attempt) == (EPOCH, EPOCH + seconds(5))
    assert record.until_attempt() == 2
    clock.move(2)
    assert (record.status().next_attempt, record.until_attempt()) == (None, 0)


def test_the_same_cause_again_is_no_change_but_moves_the_next_attempt() -> None:
    """Since when there is no connection for that cause stays."""
    clock = TwoClocks()
    record = ConnectionRecord(clock)
    assert record.note(down(ConnectionCause.REFUSED, 1))
    clock.move(10)
    assert not record.note(down(ConnectionCause.REFUSED, 8, "other words"))
    status = record.status()
    assert (status.since, status.next_attempt, status.text) == (EPOCH, EPOCH + seconds(18), "other words")
    assert record.note(down(ConnectionCause.TIMED_OUT, 8))
    assert record.status().since == EPOCH + seconds(10)


def test_a_connection_has_no_cause() -> None:
    """And no next attempt."""
    clock = TwoClocks()
    record = ConnectionRecord(clock)
    record.note(down(ConnectionCause.REFUSED, 100))
    clock.move(10)
    assert record.note(ConnectionUp(7, 0.0))
    assert not record.note(ConnectionUp(9, 1.0))
    status = record.status()
    assert (status.connected, status.cause, status.hresult, status.next_attempt) == (True, None, 0, None)
    assert (status.since, record.until_attempt(), record.down) == (EPOCH + seconds(10), 0, None)


def test_a_clock_that_is_set_meanwhile_falsifies_no_moment() -> None:
    """By the new time it began as long ago as before."""
    clock = TwoClocks()
    record = ConnectionRecord(clock)
    record.note(down(ConnectionCause.REFUSED, 60))
    clock.move(20)
    clock.shown += timedelta(days=40)
    status = record.status()
    assert status.since == clock.shown - seconds(20)
    assert status.next_attempt == clock.shown + seconds(40)


def test_looks_at_the_same_state_are_equal() -> None:
    """However long a look at two clocks takes; so an app can compare them."""
    clock = TwoClocks()
    record = ConnectionRecord(clock)
    record.note(down(ConnectionCause.REFUSED, 60))
    first = record.status()
    clock.shown += timedelta(microseconds=7)
    assert record.status() == first
