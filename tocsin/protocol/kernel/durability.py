"""A store's writing: groups that commit, commits whose fate is not known, and how that is found out.

After a failed commit nothing of its group counts as done or as undone: the log may hold it, or not, and of a server the
answer may be lost. So the database is opened anew, what it holds is brought to disk, and its commit counter is asked; a group
that is not there is run again.
"""

from __future__ import annotations

from enum import auto

from attrs import field, frozen, validators

from tocsin.protocol.kernel.backoff import backoff
from tocsin.protocol.kernel.machine import Label


class Phase(Label):
    """What is known of the last group."""

    SOUND = auto()
    OVERDUE = auto()
    """It takes longer than its writers wait."""
    IN_DOUBT = auto()
    RERUNNING = auto()
    """It was not there, and is being run again."""
    BROKEN = auto()
    """Nothing can be written any more."""


class Event(Label):
    """What happens to it."""

    COMMITTED = auto()
    """It is on disk, under the database's name."""
    REFUSED = auto()
    """A statement is wrong: the store is not to blame."""
    FAILED = auto()
    OVERDUE = auto()
    """A writer has waited for as long as it waits."""
    FOUND = auto()
    """The database was asked, and holds it."""
    MISSING = auto()
    """The database was asked, and does not hold it."""
    CORRUPT = auto()
    WAITED = auto()
    """It is time to ask again."""
    CLOSE = auto()


class Effect(Label):
    """What the writer has to do."""

    SETTLE = auto()
    RUN_EACH = auto()
    """Run each write by itself, so that only the wrong one is refused."""
    RUN_AGAIN = auto()
    TELL_FAULT = auto()
    TELL_RECOVERY = auto()
    REFUSE_WAITING = auto()
    """Refuse what has not had its turn, where writers wait for so long only."""
    BACK_OFF = auto()
    ASK = auto()
    GIVE_UP = auto()


TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.SOUND, Event.COMMITTED): (Phase.SOUND, (Effect.SETTLE,)),
    (Phase.SOUND, Event.REFUSED): (Phase.SOUND, (Effect.RUN_EACH,)),
    (Phase.SOUND, Event.FAILED): (Phase.IN_DOUBT, (Effect.TELL_FAULT, Effect.REFUSE_WAITING, Effect.ASK)),
    (Phase.SOUND, Event.CORRUPT): (Phase.BROKEN, (Effect.GIVE_UP,)),
    (Phase.SOUND, Event.OVERDUE): (Phase.OVERDUE, (Effect.TELL_FAULT,)),
    (Phase.OVERDUE, Event.COMMITTED): (Phase.SOUND, (Effect.TELL_RECOVERY, Effect.SETTLE)),
    (Phase.OVERDUE, Event.REFUSED): (Phase.SOUND, (Effect.TELL_RECOVERY, Effect.RUN_EACH)),
    (Phase.OVERDUE, Event.FAILED): (Phase.IN_DOUBT, (Effect.REFUSE_WAITING, Effect.ASK)),
    (Phase.OVERDUE, Event.CORRUPT): (Phase.BROKEN, (Effect.GIVE_UP,)),
    (Phase.OVERDUE, Event.OVERDUE): (Phase.OVERDUE, ()),
    (Phase.IN_DOUBT, Event.FOUND): (Phase.SOUND, (Effect.TELL_RECOVERY, Effect.SETTLE)),
    (Phase.IN_DOUBT, Event.MISSING): (Phase.RERUNNING, (Effect.RUN_AGAIN,)),
    (Phase.IN_DOUBT, Event.FAILED): (Phase.IN_DOUBT, (Effect.BACK_OFF,)),
    (Phase.IN_DOUBT, Event.WAITED): (Phase.IN_DOUBT, (Effect.ASK,)),
    (Phase.IN_DOUBT, Event.CORRUPT): (Phase.BROKEN, (Effect.GIVE_UP,)),
    (Phase.IN_DOUBT, Event.CLOSE): (Phase.BROKEN, (Effect.GIVE_UP,)),
    (Phase.IN_DOUBT, Event.OVERDUE): (Phase.IN_DOUBT, ()),
    (Phase.RERUNNING, Event.COMMITTED): (Phase.SOUND, (Effect.TELL_RECOVERY, Effect.SETTLE)),
    (Phase.RERUNNING, Event.REFUSED): (Phase.SOUND, (Effect.TELL_RECOVERY, Effect.RUN_EACH)),
    (Phase.RERUNNING, Event.FAILED): (Phase.IN_DOUBT, (Effect.BACK_OFF,)),
    (Phase.RERUNNING, Event.CORRUPT): (Phase.BROKEN, (Effect.GIVE_UP,)),
    (Phase.RERUNNING, Event.OVERDUE): (Phase.RERUNNING, ()),
}

_ERROR, _CONSTRAINT, _TOO_BIG, _MISMATCH, _MISUSE, _RANGE = 1, 19, 18, 20, 21, 25
_CORRUPT, _NOT_A_DATABASE = 11, 26


def classify(code: int | None) -> Event:
    """Tell which event a failed statement or commit is, by SQLite's result code; None where the driver refused it.

    Whatever is neither a wrong statement nor a damaged file may pass: a full disk, an I/O error, a lock.
    Source: https://www.sqlite.org/rescode.html.
    """
    primary = None if code is None else code & 0xFF
    if primary in {None, _ERROR, _CONSTRAINT, _TOO_BIG, _MISMATCH, _MISUSE, _RANGE}:
        return Event.REFUSED
    return Event.CORRUPT if primary in {_CORRUPT, _NOT_A_DATABASE} else Event.FAILED


_NO_CONNECTION, _NO_ROLLBACK, _NO_RESOURCES, _NOT_NOW, _INTERVENTION, _SYSTEM = "08", "40", "53", "55", "57", "58"
_READ_ONLY = "25006"


def classify_state(state: str | None) -> Event:
    """Tell which event a failure is by PostgreSQL's SQLSTATE; None where the driver refused a value.

    A server that says what is wrong has undone the transaction, also where its data is damaged: other rows may be sound.
    What may pass is a server without room or connections, that stops or starts, or is a copy that is read only.
    Source: https://www.postgresql.org/docs/15/errcodes-appendix.html.
    """
    passing = {_NO_CONNECTION, _NO_ROLLBACK, _NO_RESOURCES, _NOT_NOW, _INTERVENTION, _SYSTEM}
    if state is not None and (state[:2] in passing or state == _READ_ONLY):
        return Event.FAILED
    return Event.REFUSED


@frozen
class RecoveryPolicy:
    """How long to wait before the database is asked again, in seconds: doubled each time."""

    first: float = field(default=0.1, validator=validators.gt(0))
    longest: float = field(default=5.0, validator=validators.gt(0))

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after that many failures in a row, from 1."""
        return backoff(self.first, self.longest, failures)
