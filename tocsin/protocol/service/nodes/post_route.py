"""The way of one post among several nodes: to its device's connection, here or at another node, or into the store, and what its sender hears.

A node that another forwards to goes the same way from its own connection on, and forwards to no third: it says "not here", which is the
whole truth where nothing comes twice over the link by itself. Device and node know a payload by its id, which is the same on each way. A
node that cannot be reached though its lease is good may have the device all the same, and may have handed the payload over: its row is left as it
is, the notification is stored with a wake for it, and the sender has its answer once that node has read the wake, or has no lease. So
nothing that is posted after the answer comes before it. The store checks the row's version; what has moved on is looked at anew, for
``LOOKS`` times, and then stored under the row's lock.
"""

from __future__ import annotations

from enum import Enum, auto, unique
from typing import Final

from attrs import Factory, define

from tocsin.protocol.kernel.machine import Label, step
from tocsin.protocol.service.nodes.device_row import DeviceRow, Home, IsGood

LOOKS: Final = 4
"""How often it is looked where a device is, at most: the last time decides."""


class Phase(Label):
    """Where a post stands."""

    LOOKING = auto()
    """It is looked where its device is."""
    PUSHING = auto()
    """It is on its way to a connection of this node."""
    FORWARDING = auto()
    STORING = auto()
    OUTLASTING = auto()
    """It is stored, and a node that may have the device does not know that yet."""
    ANSWERED = auto()


class Event(Label):
    """What happens to it."""

    HERE = auto()
    """The device's connection is at this node."""
    THERE = auto()
    """It is at another node whose lease is good."""
    AWAY = auto()
    """The device can be reached at no node; its sender lets it wait."""
    UNSETTLED = auto()
    """As AWAY, and it was looked for too often."""
    GONE = auto()
    """The device can be reached at no node, and its sender does not let it wait."""
    STALE = auto()
    """As GONE, and the row names a node that does not have it."""
    HEARSAY = auto()
    """As GONE or STALE, by what was kept of an earlier look: nothing is dropped for that."""
    ELSEWHERE = auto()
    """It was forwarded to this node, which has no connection of the device, or is not the one that the row names."""
    SETTLED = auto()
    """The push has ended, here or at the other node, by what its sender is to hear."""
    UNDELIVERED = auto()
    """The connection here did not bring it to the device, and its sender lets it wait."""
    NOT_HERE = auto()
    """The other node says that this connection is no more."""
    UNREACHED = auto()
    """The other node did not answer; it may have handed it over or not."""
    STORED = auto()
    STORED_BEHIND = auto()
    """It is stored, and a node that may have the device does not know that yet (``RowChange.behind``)."""
    MOVED = auto()
    """Nothing was written: the row's version was another."""
    FAILED = auto()
    """The database cannot be read or written."""
    NO_ROOM = auto()
    LAPSED = auto()
    """This node has no lease just now."""
    OUTLASTED = auto()


class Effect(Label):
    """What its driver has to do."""

    LOOK = auto()
    """Read the row anew, past any cache."""
    PUSH = auto()
    FORWARD = auto()
    STORE = auto()
    """Store it, if the row's version is still the one that was read. Have a connection that is here look at its queue then, and once more
    where it was in doubt and is found out."""
    STORE_LOCKED = auto()
    """Lock the row, read the queue, and store it whatever has changed."""
    CLEAR = auto()
    """Clear the row's home, if it is still that one; the sender does not wait for it."""
    OUTLAST = auto()
    """Wait for ``LeaseTerms.outlast``, from when it was stored."""
    ANSWER = auto()


_ANSWER: Final = (Phase.ANSWERED, (Effect.ANSWER,))

TABLE: Final[dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]]] = {
    (Phase.LOOKING, Event.HERE): (Phase.PUSHING, (Effect.PUSH,)),
    (Phase.LOOKING, Event.THERE): (Phase.FORWARDING, (Effect.FORWARD,)),
    (Phase.LOOKING, Event.AWAY): (Phase.STORING, (Effect.STORE,)),
    (Phase.LOOKING, Event.UNSETTLED): (Phase.STORING, (Effect.STORE_LOCKED,)),
    (Phase.LOOKING, Event.GONE): _ANSWER,
    (Phase.LOOKING, Event.STALE): (Phase.ANSWERED, (Effect.CLEAR, Effect.ANSWER)),
    (Phase.LOOKING, Event.HEARSAY): (Phase.LOOKING, (Effect.LOOK,)),
    (Phase.LOOKING, Event.ELSEWHERE): _ANSWER,
    (Phase.LOOKING, Event.FAILED): _ANSWER,
    (Phase.LOOKING, Event.LAPSED): _ANSWER,
    (Phase.PUSHING, Event.SETTLED): _ANSWER,
    (Phase.PUSHING, Event.UNDELIVERED): (Phase.STORING, (Effect.STORE,)),
    (Phase.FORWARDING, Event.SETTLED): _ANSWER,
    (Phase.FORWARDING, Event.NOT_HERE): (Phase.LOOKING, (Effect.LOOK,)),
    (Phase.FORWARDING, Event.UNREACHED): (Phase.LOOKING, (Effect.LOOK,)),
    (Phase.STORING, Event.STORED): _ANSWER,
    (Phase.STORING, Event.STORED_BEHIND): (Phase.OUTLASTING, (Effect.OUTLAST,)),
    (Phase.STORING, Event.MOVED): (Phase.LOOKING, (Effect.LOOK,)),
    (Phase.STORING, Event.FAILED): _ANSWER,
    (Phase.STORING, Event.NO_ROOM): _ANSWER,
    (Phase.STORING, Event.LAPSED): _ANSWER,
    (Phase.OUTLASTING, Event.OUTLASTED): _ANSWER,
}


@unique
class RouteEnd(Enum):
    """What a post's sender is to hear."""

    AS_PUSHED = auto()
    """What the connection has said, here or at the other node."""
    STORED = auto()
    DROPPED = auto()
    """The device is away, and its sender does not let it wait; no device has it or will have it."""
    UNKNOWN = auto()
    """The device may have it or not, and nothing is stored: the sender is to try again, if it likes."""
    NO_ROOM = auto()
    UNAVAILABLE = auto()
    """The database cannot be used: 503, the sender is to try again."""
    LAPSED = auto()
    """This node has no lease: 503, the sender is to try again."""
    NOT_HERE = auto()
    """To the node that forwarded it: the connection that its row names is no more; what may not wait was handed over by none."""


_ENDS: Final = {
    Event.SETTLED: RouteEnd.AS_PUSHED,
    Event.STORED: RouteEnd.STORED,
    Event.OUTLASTED: RouteEnd.STORED,
    Event.NO_ROOM: RouteEnd.NO_ROOM,
    Event.FAILED: RouteEnd.UNAVAILABLE,
    Event.LAPSED: RouteEnd.LAPSED,
    Event.ELSEWHERE: RouteEnd.NOT_HERE,
}


@define(eq=False)
class PostRoute:
    """One post at one node; its driver performs what its methods return, and answers with ``end`` at ANSWER.

    :param lease: the number of the node's lease when the post came.
    :param storable: whether its sender lets it wait (``Notification.storable``).
    :param forwarded: whether another node has sent it here: without a connection here that is ELSEWHERE at once.
    """

    lease: int
    storable: bool
    forwarded: bool = False
    phase: Phase = Phase.LOOKING
    end: RouteEnd | None = None
    row: DeviceRow | None = None
    """What was read last; its version is what the store checks."""
    denied: frozenset[Home] = frozenset()
    """What its own node has said is no more: a change of the queue clears it."""
    pushed: bool = False
    """Whether it has gone to a connection of this node already: no other is tried."""
    _unreached: set[Home] = Factory(set)
    _looks: int = 0
    _doubtful: bool = False
    """Whether a node may have handed it over, or may have the device."""

    def here(self) -> tuple[Effect, ...]:
        """Go to the device's connection at this node; one whose row is not written yet, or whose queue is not read, lets it wait."""
        self.pushed = True
        return self.happened(Event.HERE)

    def undelivered(self, known: DeviceRow) -> tuple[Effect, ...]:
        """Take it that the connection here did not bring it to its device, which may have it or not; only where it may wait.

        :param known: the row as far as this node knows it.
        """
        self.row = known
        return self.happened(Event.UNDELIVERED)

    def read(self, row: DeviceRow, good: IsGood, *, kept: bool = False) -> tuple[Effect, ...]:
        """Go on from what the row says, where this node has no connection or has tried it.

        :param good: tells of a lease whether it is good, as far as this node knows.
        :param kept: whether the row was not read for this look; only the first look of a post may take such a one.
        """
        self.row = row
        self._looks += 1
        event = self._where(row.home, good)
        return self.happened(Event.HEARSAY if kept and event in {Event.GONE, Event.STALE} else event)

    def _where(self, home: Home | None, good: IsGood) -> Event:
        if home is not None and home.lease == self.lease and not self.pushed:
            self.denied |= {home}  # else the driver had found it here
        is_there = home is not None and home not in self.denied and good(home.lease) and home.lease != self.lease
        if is_there and self.forwarded:
            return Event.ELSEWHERE
        if is_there and home not in self._unreached and self._looks < LOOKS:
            return Event.THERE
        self._doubtful |= is_there
        if self.storable:
            return Event.AWAY if self._looks < LOOKS else Event.UNSETTLED
        return Event.GONE if home is None or is_there else Event.STALE

    def heard(self, said: RouteEnd | None, *, sent: bool = True) -> tuple[Effect, ...]:
        """Take what the node says that it was forwarded to; None: it has not answered in time, or could not be reached.

        One that is unavailable may have handed it over as well.

        :param sent: False where it is certain that nothing was sent.
        """
        if said in {None, RouteEnd.UNAVAILABLE, RouteEnd.LAPSED}:
            self._unreached.add(self._tried)
            self._doubtful |= sent
            return self.happened(Event.UNREACHED)
        if said is RouteEnd.NOT_HERE:
            self.denied |= {self._tried}
            return self.happened(Event.NOT_HERE)
        effects = self.happened(Event.SETTLED)
        self.end = said
        return effects

    @property
    def _tried(self) -> Home:
        if self.row is None or self.row.home is None:
            raise AssertionError("only what a row names is forwarded to")
        return self.row.home

    def happened(self, event: Event) -> tuple[Effect, ...]:
        """Go by the table; return what is to be done."""
        self.phase, effects = step(TABLE, self.phase, event)
        if Effect.ANSWER in effects:
            self.end = _ENDS.get(event, RouteEnd.UNKNOWN if self._doubtful else RouteEnd.DROPPED)
        return effects
