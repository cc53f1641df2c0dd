"""A device's row: what each change makes of it, of what it is refused, and who is woken."""

from __future__ import annotations

import pytest
from attrs import evolve

from tocsin.protocol.service.nodes.device_row import (
    ABSENT,
    DeviceRow,
    Home,
    RowChange,
    RowWriter,
    Unchanged,
    change,
    clear,
    connect,
    reclaim,
)

MINE, OTHER, DEAD = 1, 2, 3
HOME = Home(OTHER, 5)


def by(lease: int = MINE) -> RowWriter:
    """Write under a lease, as the next version, where two leases are good."""
    return RowWriter(lease, 9, {MINE, OTHER}.__contains__)


def test_nothing_is_written_under_a_lease_that_is_over() -> None:
    """Whatever it is."""
    row = DeviceRow(5, HOME)
    assert connect(row, by(DEAD)) is Unchanged.FENCED
    assert reclaim(row, HOME, by(DEAD)) is Unchanged.FENCED
    assert clear(row, HOME, by(DEAD)) is Unchanged.FENCED
    assert change(row, 5, by(DEAD)) is Unchanged.FENCED
    assert change(row, None, by(DEAD)) is Unchanged.FENCED


@pytest.mark.parametrize(
    ("row", "wake"),
    [
        (ABSENT, None),
        (DeviceRow(5), None),
        (DeviceRow(5, Home(MINE, 5)), MINE),
        (DeviceRow(5, HOME), OTHER),
        (DeviceRow(5, Home(DEAD, 5)), None),
    ],
)
def test_a_device_is_where_it_connected_last(row: DeviceRow, wake: int | None) -> None:
    """The node that the row named before is woken, if it may still have a connection of the device."""
    assert connect(row, by()) == RowChange(DeviceRow(9, Home(MINE, 9)), wake, wake is not None)


@pytest.mark.parametrize("row", [DeviceRow(5), DeviceRow(5, Home(DEAD, 4)), DeviceRow(5, Home(DEAD, 5))])
def test_a_connection_that_was_held_is_written_down_anew(row: DeviceRow) -> None:
    """Where no living node has written down another."""
    assert reclaim(row, Home(DEAD, 4), by()) == RowChange(DeviceRow(9, Home(MINE, 9)))


def test_a_connection_that_was_held_gives_way() -> None:
    """The device has connected to another node since."""
    assert reclaim(DeviceRow(5, HOME), Home(MINE, 4), by()) is Unchanged.MOVED


def test_only_the_connection_that_is_meant_is_cleared() -> None:
    """A later one of the same node is another."""
    assert clear(DeviceRow(7, HOME), HOME, by()) == RowChange(DeviceRow(9))
    assert clear(DeviceRow(7, Home(OTHER, 7)), HOME, by()) is Unchanged.MOVED
    assert clear(DeviceRow(7), HOME, by()) is Unchanged.MOVED


def test_a_queue_is_changed_only_as_it_was_read() -> None:
    """Unless its row has been locked since."""
    assert change(DeviceRow(5), 4, by()) is Unchanged.MOVED
    assert change(DeviceRow(5), 5, by()) == change(DeviceRow(5), None, by()) == RowChange(DeviceRow(9))
    assert change(ABSENT, 0, by()) == RowChange(DeviceRow(9))


def test_a_changed_queue_wakes_the_node_that_may_have_the_device() -> None:
    """Its home stays; one that is over, or that its node denies, is cleared."""
    assert change(DeviceRow(5, HOME), 5, by()) == RowChange(DeviceRow(9, HOME), OTHER, behind=True)
    assert change(DeviceRow(5, Home(MINE, 5)), 5, by()) == RowChange(DeviceRow(9, Home(MINE, 5)))
    assert change(DeviceRow(5, Home(DEAD, 5)), 5, by()) == RowChange(DeviceRow(9))
    assert change(DeviceRow(5, HOME), 5, by(), frozenset({HOME})) == RowChange(DeviceRow(9))


def test_what_is_stored_is_behind_while_a_displaced_node_does_not_know() -> None:
    """Whatever the row names by now: that node may still hand over what comes to it."""
    unread = evolve(by(), unread=True)
    away = DeviceRow(5)
    for row in (away, DeviceRow(5, Home(MINE, 5)), DeviceRow(5, Home(DEAD, 5))):
        changed = change(row, 5, unread)
        assert isinstance(changed, RowChange)
        assert changed.behind
        assert changed.wake is None
    assert change(away, 5, by()) == RowChange(DeviceRow(9))
