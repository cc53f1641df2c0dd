"""One-for-one restart: an actor that failed begins anew, unless it fails too often for that to help."""

from __future__ import annotations

from collections.abc import Sequence
from enum import auto

from attrs import field, frozen, validators

from tocsin.protocol.kernel.machine import Label


class Phase(Label):
    """Where an actor stands."""

    STARTING = auto()
    RUNNING = auto()
    STOPPED = auto()
    GIVEN_UP = auto()


class Event(Label):
    """What happens to it."""

    STARTED = auto()
    FAILED = auto()
    FAILED_TOO_OFTEN = auto()
    DRAINED = auto()


class Effect(Label):
    """What its runner has to do."""

    SERVE = auto()
    BEGIN_ANEW = auto()
    ESCALATE = auto()


TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.STARTING, Event.STARTED): (Phase.RUNNING, (Effect.SERVE,)),
    (Phase.STARTING, Event.FAILED): (Phase.STARTING, (Effect.BEGIN_ANEW,)),
    (Phase.STARTING, Event.FAILED_TOO_OFTEN): (Phase.GIVEN_UP, (Effect.ESCALATE,)),
    (Phase.RUNNING, Event.FAILED): (Phase.STARTING, (Effect.BEGIN_ANEW,)),
    (Phase.RUNNING, Event.FAILED_TOO_OFTEN): (Phase.GIVEN_UP, (Effect.ESCALATE,)),
    (Phase.RUNNING, Event.DRAINED): (Phase.STOPPED, ()),
}


@frozen
class RestartPolicy:
    """At most ``intensity`` restarts within ``window`` seconds; one more is one too many."""

    intensity: int = field(default=5, validator=validators.ge(0))
    window: float = field(default=10.0, validator=validators.gt(0))

    def classify(self, failures: Sequence[float], now: float) -> Event:
        """Decide which event a failure at ``now`` is, given the moments of all failures so far, this one included."""
        recent = sum(1 for moment in failures if now - moment < self.window)
        return Event.FAILED if recent <= self.intensity else Event.FAILED_TOO_OFTEN
