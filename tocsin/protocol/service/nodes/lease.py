"""A node's life by its lease: it joins, serves, drains, lapses while it cannot renew, and leaves.

Past its lease a node acts for no device: it hands nothing over, and answers senders 503. It holds its devices' connections meanwhile, and
writes them down under the next lease; they are closed where they do better at another node: where one has a lease, or none is reached. It judges the end of its lease by its own steady
clock, counted from before it asked, so that it stops before others take what it holds. Whether the lease is good is asked where work comes in
(:meth:`Lease.is_good`), not only by an alarm: a process that stood still has work to do before its alarms.
"""

from __future__ import annotations

import math
from enum import auto
from typing import Final

from attrs import Factory, define, field, frozen, validators

from tocsin.protocol.kernel.backoff import backoff
from tocsin.protocol.kernel.machine import Label, step


class Phase(Label):
    """Where a node stands."""

    JOINING = auto()
    """It has had no lease yet."""
    SERVING = auto()
    DRAINING = auto()
    """It serves, and sends its devices to other nodes."""
    LAPSED = auto()
    """Its lease is over, and it asks for another."""
    LEAVING = auto()
    """It has no lease and asks for none; its devices' connections are being closed."""
    RELEASING = auto()
    """It has no devices, and gives its lease back."""
    LEFT = auto()


class Event(Label):
    """What happens to it."""

    DUE = auto()
    """It is time to ask for a lease, or for more of it."""
    GRANTED = auto()
    REFUSED = auto()
    """The database says that the lease is over."""
    REPLACED = auto()
    """Another process has joined in this node's name."""
    OVER = auto()
    """The lease is over by the node's own clock."""
    CUT_OFF = auto()
    """Others have leases or are not reached, or this has lasted for too long: devices do better elsewhere."""
    DRAIN = auto()
    EMPTY = auto()
    """No device is connected."""
    RELEASED = auto()
    """The lease is given back, or that has failed, and it ends by itself."""


class Effect(Label):
    """What its driver has to do."""

    JOIN = auto()
    """Ask for a lease of its own."""
    RENEW = auto()
    """Ask for more of it, and for the wakes that others have left. Say whether it drains, and which wakes of the last answer were read: only
    these are erased, since an answer may be lost."""
    OPEN = auto()
    """Take devices, and answer senders."""
    LOOK = auto()
    """Let the devices that others have changed get nothing until their rows and queues are read again."""
    HOLD = auto()
    """Take no device and act for none: hand nothing over, and answer senders 503."""
    RECLAIM = auto()
    """Write the connections that were held down under the new lease, and read the queues; until then they get nothing."""
    SEND_AWAY = auto()
    """Tell devices to come back at another node, a few at a time."""
    CLOSE_DEVICES = auto()
    RELEASE = auto()


class Others(Label):
    """What a node hears of the others, which it asks over their links."""

    NONE = auto()
    """There are no others, or one answers, and none that does has a lease."""
    SERVE = auto()
    """One has a lease."""
    SILENT = auto()
    """There are others, and none answers."""


_ENDING: Final = (Phase.LEAVING, (Effect.HOLD, Effect.CLOSE_DEVICES))
_LAPSING: Final = (Phase.LAPSED, (Effect.HOLD, Effect.JOIN))

TABLE: Final[dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]]] = {
    (Phase.JOINING, Event.DUE): (Phase.JOINING, (Effect.JOIN,)),
    (Phase.JOINING, Event.GRANTED): (Phase.SERVING, (Effect.OPEN,)),
    (Phase.JOINING, Event.DRAIN): (Phase.LEFT, ()),
    (Phase.SERVING, Event.DUE): (Phase.SERVING, (Effect.RENEW,)),
    (Phase.SERVING, Event.GRANTED): (Phase.SERVING, (Effect.LOOK,)),
    (Phase.SERVING, Event.REFUSED): _LAPSING,
    (Phase.SERVING, Event.OVER): _LAPSING,
    (Phase.SERVING, Event.REPLACED): _ENDING,
    (Phase.SERVING, Event.DRAIN): (Phase.DRAINING, (Effect.RENEW, Effect.SEND_AWAY)),
    (Phase.DRAINING, Event.DUE): (Phase.DRAINING, (Effect.RENEW,)),
    (Phase.DRAINING, Event.GRANTED): (Phase.DRAINING, (Effect.LOOK,)),
    (Phase.DRAINING, Event.REFUSED): _ENDING,
    (Phase.DRAINING, Event.OVER): _ENDING,
    (Phase.DRAINING, Event.REPLACED): _ENDING,
    (Phase.DRAINING, Event.DRAIN): (Phase.DRAINING, ()),
    (Phase.DRAINING, Event.EMPTY): (Phase.RELEASING, (Effect.HOLD, Effect.RELEASE)),
    (Phase.LAPSED, Event.DUE): (Phase.LAPSED, (Effect.JOIN,)),
    (Phase.LAPSED, Event.GRANTED): (Phase.SERVING, (Effect.RECLAIM, Effect.OPEN)),
    (Phase.LAPSED, Event.REPLACED): (Phase.LEAVING, (Effect.CLOSE_DEVICES,)),
    (Phase.LAPSED, Event.CUT_OFF): (Phase.LAPSED, (Effect.CLOSE_DEVICES,)),
    (Phase.LAPSED, Event.DRAIN): (Phase.LEAVING, (Effect.CLOSE_DEVICES,)),
    (Phase.LEAVING, Event.DRAIN): (Phase.LEAVING, ()),
    (Phase.LEAVING, Event.EMPTY): (Phase.LEFT, ()),
    (Phase.RELEASING, Event.DRAIN): (Phase.RELEASING, ()),
    (Phase.RELEASING, Event.OVER): (Phase.LEFT, ()),
    (Phase.RELEASING, Event.RELEASED): (Phase.LEFT, ()),
}

HOLDING: Final = (Phase.SERVING, Phase.DRAINING, Phase.RELEASING)
"""The phases in which a node has a lease."""

ASKING: Final = (Phase.JOINING, Phase.SERVING, Phase.DRAINING, Phase.LAPSED)
"""The phases in which a node asks for a lease, or for more of it."""

_ACTING: Final = (Phase.SERVING, Phase.DRAINING)


@frozen
class LeaseTerms:
    """What a lease is worth; the same for all nodes. Times in seconds."""

    length: float = field(default=3.0, validator=validators.gt(0))
    drift: float = field(default=0.01, validator=[validators.ge(0), validators.lt(0.5)])
    """By which fraction a node's clock may go slower or faster than the database's."""
    hold: float = field(default=90.0, validator=validators.ge(0))
    """For how long a node without a lease holds its devices' connections, where another is reached and none is known to have one, or it is alone."""

    @property
    def own(self) -> float:
        """Seconds from before it asks for which a node relies on its lease."""
        return self.length * (1 - self.drift)

    @property
    def outlast(self) -> float:
        """Seconds after which a node has read the wake that was left for it, or has no lease any more."""
        return self.length * (1 + self.drift)

    @property
    def renewal(self) -> float:
        """Seconds from one time that it asks to the next, where it was granted: two may fail in between."""
        return self.length / 3

    @property
    def moment(self) -> float:
        """Seconds after which it is no chance any more that others have a lease or are silent, and this node has none.

        Where the database is gone for all, the last lease ends one ``renewal`` after the first, and the others have to be heard of.
        """
        return self.renewal * 1.2

    def again(self, failures: int, fraction: float) -> float:
        """Return the seconds until a node asks again after so many failures in a row; ``fraction`` is random, from 0 to 1.

        They are few, since a question itself may take up to ``renewal`` to fail: nodes without a lease wait for nothing else.
        """
        return backoff(self.length / 30, self.length / 10, failures, fraction)


@define(eq=False)
class Lease:
    """A node's own lease. All times are those of its steady clock, which goes on while the process or the machine stands still.

    Its driver performs the effects that its methods return, in their order, and for LOOK before it does anything else. One question is on
    its way at a time: after ``terms.renewal`` without an answer it has failed, and what is answered later is passed over, but for the wakes
    in it.
    """

    terms: LeaseTerms = Factory(LeaseTerms)
    phase: Phase = Phase.JOINING
    number: int = 0
    """The number of the lease that it has, or has had last; 0 before the first."""
    until: float = 0.0
    lapsed: float = 0.0
    """When it lapsed."""
    _due: float = 0.0
    _asked: float | None = None
    _failures: int = 0
    _others: Others = Others.NONE
    _others_since: float = 0.0
    """Since when that is so."""

    def is_good(self, now: float) -> bool:
        """Tell whether it may act for devices and answer senders now; asked of each post when it comes, from wherever it comes."""
        return self.phase in _ACTING and now < self.until

    @property
    def alarm(self) -> float | None:
        """When to :meth:`ring` at the latest; None while there is nothing to wait for."""
        due = self._due if self.phase in ASKING and self._asked is None else None
        over = self.until if self.phase in HOLDING else None
        return min((each for each in (due, over) if each is not None), default=None)

    def ring(self, now: float) -> tuple[Effect, ...]:
        """Do what is due."""
        effects: tuple[Effect, ...] = ()
        if self.phase in HOLDING and now >= self.until:
            effects = self.happened(Event.OVER, now)
        elif self.phase in ASKING and self._asked is None and now >= self._due:
            effects = self.happened(Event.DUE, now)
        return effects

    def granted(self, asked: float, number: int, now: float, *, joined: bool) -> tuple[Effect, ...]:
        """Take a lease, or more of it.

        :param asked: when it was asked for, as told by the effect's time.
        :param joined: whether it is an answer to JOIN, and not to RENEW.
        """
        if asked != self._asked:
            return ()
        self._asked, self._failures = None, 0
        until = asked + self.terms.own
        if (self.phase, Event.GRANTED) not in TABLE or joined is (self.phase in _ACTING):
            return ()
        if until <= now or (self.phase in _ACTING and self.until <= now):
            # Too long on its way; or others may have seen the old one end, and not yet that it went on.
            self._due = now
            return self.ring(now)
        self.number = number
        effects = self.happened(Event.GRANTED, now)
        self.until, self._due = until, asked + self.terms.renewal
        return effects

    def failed(self, asked: float, now: float, fraction: float) -> None:
        """Note that there was no answer, or none in time; ``fraction`` is random, from 0 to 1."""
        if asked == self._asked:
            self._asked = None
            self._failures += 1
            self._due = now + self.terms.again(self._failures, fraction)

    def refused(self, asked: float, event: Event, now: float, fraction: float) -> tuple[Effect, ...]:
        """Take a no: REFUSED or REPLACED."""
        if asked != self._asked:
            return ()
        self.failed(asked, now, fraction)
        return self.happened(event, now) if (self.phase, event) in TABLE else ()

    def empty(self, now: float) -> tuple[Effect, ...]:
        """Note that no device is connected, whenever that is so."""
        return self.happened(Event.EMPTY, now) if (self.phase, Event.EMPTY) in TABLE else ()

    @property
    def is_in_doubt(self) -> bool:
        """Whether the others have to be asked: it has no lease, or the last question for more of it has failed."""
        return self.phase is Phase.LAPSED or (self.phase in _ACTING and self._failures > 0)

    def look_at_others(self, now: float, others: Others, connected: int) -> tuple[Effect, ...]:
        """See whether devices do better elsewhere; told a few times a second, while it :attr:`is_in_doubt` what the others say, else NONE.

        Where another has a lease, the database is there, and this node is cut off, unless it joins within a moment, for which it asks again
        soon; before this lease was over, the other's proves nothing. Where no other answers, as little as the database, it is this node that
        nothing reaches.
        """
        if others is not self._others:
            self._others, self._others_since = others, now
            if others is Others.SERVE and self.phase is Phase.LAPSED:
                self._failures, self._due = 0, min(self._due, now)
        if self.phase is not Phase.LAPSED:
            return ()
        since = {Others.NONE: math.inf, Others.SERVE: max(self._others_since, self.lapsed)}.get(
            others, self._others_since
        )
        is_cut_off = now - since >= self.terms.moment or now - self.lapsed >= self.terms.hold
        return self.happened(Event.CUT_OFF, now) if is_cut_off and connected else ()

    def happened(self, event: Event, now: float) -> tuple[Effect, ...]:
        """Go by the table; return what is to be done."""
        self.phase, effects = step(TABLE, self.phase, event)
        if Effect.HOLD in effects:
            self.lapsed = now
        if Effect.JOIN in effects or Effect.RENEW in effects:
            self._asked = now
        return effects
