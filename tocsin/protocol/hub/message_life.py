"""A message's life in a hub: scheduled or at once, then target by target to its end, over restarts.

States are those of the telemetry of Notification Hubs (``NotificationOutcomeState``), which their clients know by name. Every target is tried under an id that
follows from the message and the channel, so that what is tried twice, as after a crash, is the same notification to a device.
"""

from __future__ import annotations

from enum import auto
from typing import Final

from tocsin.protocol.hub.hub_outcomes import HubOutcome, Tally
from tocsin.protocol.kernel.machine import Label

FIRST_RETRY: Final = 1.0
"""Seconds until a target is tried for the second time; twice as many until each further one."""

MAX_ATTEMPTS: Final = 10
"""How often a target is tried at most: within some nine minutes, where each try ends at once."""


class Phase(Label):
    """Where a message stands."""

    SCHEDULED = auto()
    """It waits for its time."""
    ENQUEUED = auto()
    """It is on disk, and no target has been tried."""
    PROCESSING = auto()
    COMPLETED = auto()
    """Each target has its outcome; some may have been given up."""
    ABANDONED = auto()
    """All targets were given up."""
    NO_TARGET_FOUND = auto()
    CANCELLED = auto()


class Event(Label):
    """What happens to it."""

    DUE = auto()
    CANCELLED = auto()
    """By its sender; or it is on disk, though its sender was told that it could not be written, and has sent it again."""
    BEGUN = auto()
    RESUMED = auto()
    """The service was started anew while it was under way."""
    CONCLUDED = auto()
    ALL_GIVEN_UP = auto()
    FOUND_NONE = auto()


class Effect(Label):
    """What has to be done about it."""

    FIX_TARGETS = auto()
    """Note up to which registration it goes: later ones are none of its targets."""
    SAVE = auto()
    """Write down where it stands."""
    DELIVER = auto()
    """Go on with its targets, from the place where it stands."""


_END = (Effect.SAVE,)
TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.SCHEDULED, Event.DUE): (Phase.ENQUEUED, ()),
    (Phase.SCHEDULED, Event.CANCELLED): (Phase.CANCELLED, _END),
    (Phase.ENQUEUED, Event.CANCELLED): (Phase.CANCELLED, _END),
    (Phase.ENQUEUED, Event.BEGUN): (Phase.PROCESSING, (Effect.FIX_TARGETS, Effect.SAVE, Effect.DELIVER)),
    (Phase.PROCESSING, Event.RESUMED): (Phase.PROCESSING, (Effect.DELIVER,)),
    (Phase.PROCESSING, Event.CONCLUDED): (Phase.COMPLETED, _END),
    (Phase.PROCESSING, Event.ALL_GIVEN_UP): (Phase.ABANDONED, _END),
    (Phase.PROCESSING, Event.FOUND_NONE): (Phase.NO_TARGET_FOUND, _END),
}

ENDED: Final = frozenset(Phase) - {phase for phase, _ in TABLE}
"""The phases in which nothing happens any more."""


def ending(tally: Tally) -> Event:
    """Return how a message ends all of whose targets have an outcome."""
    if not tally.total:
        return Event.FOUND_NONE
    return Event.ALL_GIVEN_UP if tally.of(HubOutcome.ABANDONED) == tally.total else Event.CONCLUDED


def wait_before(attempt: int) -> float | None:
    """Return the seconds to wait after that many attempts, counted from 1; None: it is given up."""
    return None if attempt >= MAX_ATTEMPTS else FIRST_RETRY * 2.0 ** (attempt - 1)


def state_of(phase: Phase) -> str:
    """Return what a phase is called in telemetry, such as ``NoTargetFound``."""
    return "".join(word.capitalize() for word in phase.name.split("_"))
