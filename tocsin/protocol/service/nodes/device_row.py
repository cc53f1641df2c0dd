"""A device's row in the database that nodes share: at which node it is, and a version that each change of it or of its queue raises.

A change is decided from what was read, and written only if the version is still the same; so a queue in memory is a cache, and what was
decided while the device was away is decided anew when it has come meanwhile. What a node writes whose lease is over is not written at
all. A change of a row that names another node whose lease is good leaves a wake for that node in the same transaction: it reads its
wakes with each renewal, so it knows of each such change before its lease goes on. So does a connection that takes the place of another of the
same node: it may have been written late, over the one that there is.

Each function takes the row as it is when the change is written, and is one conditional statement of SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto, unique

from attrs import frozen

IsGood = Callable[[int], bool]
"""Tells of a lease, by its number, whether it is good now, by the database's clock."""


@frozen
class Home:
    """A device's connection: the number of its node's lease, and the row's version when it was written.

    No other connection of the device ever has the same, at this node or at another.
    """

    lease: int
    epoch: int


@frozen
class DeviceRow:
    """What is known of a device; ``home`` is None while it is connected to no node."""

    version: int
    home: Home | None = None


ABSENT = DeviceRow(0)
"""What stands for a row that is not there."""


@frozen
class RowWriter:
    """Who writes, and when: the number of its node's lease, and which leases are good by the database's clock.

    ``drawn`` is the row's next version: above every one that the device has had, also before its row was erased and made anew. A sequence of
    the database gives such numbers. ``unread`` tells whether a wake for the device waits for another node whose lease is good.
    """

    lease: int
    drawn: int
    good: IsGood
    unread: bool = False


@frozen
class RowChange:
    """What a change makes of a row; ``wake`` is the lease of the node that has to be told of it, or None.

    A wake is the lease, the device and the row's new version; a later one of the device takes its place. ``behind`` tells whether a node may
    act for the device that does not know of the change: the one that is woken, or one that has yet to read that it was displaced.
    """

    row: DeviceRow
    wake: int | None = None
    behind: bool = False


@unique
class Unchanged(Enum):
    """Why a change was not written; nothing has changed."""

    FENCED = auto()
    """The lease of its writer is over."""
    MOVED = auto()
    """The row is not any more what the change was decided from."""


def connect(row: DeviceRow, by: RowWriter) -> RowChange | Unchanged:
    """Write down that the device has connected to the node that writes: the last that is written is where it is.

    The connection's :class:`Home` is that of the new row.
    """
    if not by.good(by.lease):
        return Unchanged.FENCED
    return _changed(row, Home(by.lease, by.drawn), by)


def reclaim(row: DeviceRow, was: Home, by: RowWriter) -> RowChange | Unchanged:
    """Write down under a new lease a connection that was held while the old one was over, or that others have cleared.

    MOVED: the device is at another node since, and the connection has to be closed.
    """
    if not by.good(by.lease):
        return Unchanged.FENCED
    home = row.home
    if home is not None and home != was and by.good(home.lease):
        return Unchanged.MOVED
    return _changed(row, Home(by.lease, by.drawn), by)


def clear(row: DeviceRow, home: Home, by: RowWriter) -> RowChange | Unchanged:
    """Write down that a connection is no more, if the row still names that one: it has ended, its node has said so, or its lease is over."""
    if not by.good(by.lease):
        return Unchanged.FENCED
    return RowChange(DeviceRow(by.drawn), None, by.unread) if row.home == home else Unchanged.MOVED


def change(
    row: DeviceRow, decided_from: int | None, by: RowWriter, denied: frozenset[Home] = frozenset()
) -> RowChange | Unchanged:
    """Write down a change of the device's queue, if the row's version is the one that it was decided from.

    A home whose lease is over, or that is denied, is cleared with it.

    :param decided_from: the version; None where the row has been locked since it was read.
    :param denied: what its own node has said is no more.
    """
    if not by.good(by.lease):
        return Unchanged.FENCED
    if decided_from is not None and row.version != decided_from:
        return Unchanged.MOVED
    home = row.home
    if home is None or home in denied or not by.good(home.lease):
        return RowChange(DeviceRow(by.drawn), None, by.unread)
    return _changed(row, home, by)


def _changed(row: DeviceRow, home: Home, by: RowWriter) -> RowChange:
    displaced = row.home is not None and row.home != home
    held = None if row.home is None or not by.good(row.home.lease) else row.home.lease
    wake = held if displaced or held != by.lease else None
    return RowChange(DeviceRow(by.drawn, home), wake, wake is not None or by.unread)
