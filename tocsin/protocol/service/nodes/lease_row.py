"""A node's lease in the database that nodes share, by that database's clock alone: how it is given, renewed and found to be over.

A lease has a number, drawn when its node joins, and never another: who names the number names the node's whole standing until it lapses.
"""

from __future__ import annotations

from enum import Enum, auto, unique

from attrs import evolve, frozen


@frozen
class LeaseRow:
    """A lease; times are the database's, in seconds.

    ``node`` names the program on its machine and ``run`` its process, ``address`` is where other nodes reach it, and ``version`` which Tocsin
    it is.
    """

    number: int
    node: str
    run: str
    address: str
    version: str
    granted: float
    until: float
    draining: bool = False

    def is_good(self, now: float) -> bool:
        """Tell whether it is not over; one that was granted later than now is, since the database's clock was set back."""
        return self.granted <= now < self.until


@unique
class NotGranted(Enum):
    """Why a node has no lease."""

    OVER = auto()
    """That one is over, or is not there any more: the node joins anew."""
    REPLACED = auto()
    """Another process has joined since in the node's name: this one ends."""


@frozen
class Joining:
    """What a node says when it asks for a lease; ``last`` is the number of the one that it had, or 0."""

    node: str
    run: str
    address: str
    version: str
    last: int = 0


def join(held: LeaseRow | None, asked: Joining, drawn: int, now: float, length: float) -> LeaseRow | NotGranted:
    """Give a node a lease of its own, in the place of the last in its name.

    A process that has just started takes its name over, since it has the folder that goes with it; one that had a lease does not take it
    back from one that came later. A process that does not know of its lease, since the answer was lost, or that asked twice, has the same
    again.

    :param held: the lease in the node's name, good or not, or None.
    :param drawn: a number above all that were drawn before.
    """
    if held is not None and held.number > asked.last:
        if held.run == asked.run and held.is_good(now):
            return evolve(held, granted=now, until=now + length)
        if held.run != asked.run and asked.last:
            return NotGranted.REPLACED
    return LeaseRow(drawn, asked.node, asked.run, asked.address, asked.version, now, now + length)


def renew(
    held: LeaseRow | None, lease: LeaseRow, now: float, length: float, *, draining: bool
) -> LeaseRow | NotGranted:
    """Renew a lease that is good; one that is over stays so: what its node held may be another's already.

    :param held: the lease in the node's name, or None.
    :param lease: the lease that is to be renewed, as it was given.
    :param now: a moment before the wakes are read that the node is told with it.
    """
    if held is not None and held.run != lease.run and held.number > lease.number:
        return NotGranted.REPLACED
    if held is None or held.number != lease.number or not held.is_good(now):
        return NotGranted.OVER
    return evolve(held, granted=now, until=now + length, draining=draining)
