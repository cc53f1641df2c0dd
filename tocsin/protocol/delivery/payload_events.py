"""What happens to a payload, stage by stage, as those who follow it are told, and what of it they want to hear."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Any, TypeVar

from attrs import asdict, frozen

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted
from tocsin.protocol.values import NotificationType

E = TypeVar("E", bound=StrEnum)


@unique
class Stage(StrEnum):
    """Where a payload has come to."""

    RECEIVED = "received"
    """The service has taken it from its sender, and answered so."""
    DROPPED = "dropped"
    """The service has answered its sender that it is dropped, and why."""
    REFUSED = "refused"
    """The service has refused it; the detail is the HTTP status."""
    ACCEPTED = "accepted"
    """It has come from the push service."""
    STORED = "stored"
    """It is on disk, so it is acknowledged."""
    GATED = "gated"
    """Energy saver holds it back."""
    PARKED = "parked"
    """It waits for the app's background work, as the disk knows by now; the launch may be told sooner."""
    OFFERED = "offered"
    """A session of the app has it."""
    LAUNCHED = "launched"
    """A process is started for it."""
    CANCELED = "canceled"
    """The session was told to stop its work on it."""
    HANDLED = "handled"
    SHOWN = "shown"
    """The desktop has it, or its tile or badge is set."""
    SUPPRESSED = "suppressed"
    """It was to be shown, and is not, for the reason that is told."""
    DEAD = "dead"
    """It has ended unhandled."""


@frozen
class PayloadEvent:
    """One stage of one payload; what is not known is empty, or 0.

    ``at`` is in seconds since the epoch, ``size`` in bytes of the body.
    """

    at: float
    stage: Stage
    app: str = ""
    channel: str = ""
    sequence: int = 0
    id: str = ""
    type: str = ""
    size: int = 0
    attempt: int = 0
    session: str = ""
    reason: str = ""
    detail: str = ""

    def fields(self) -> dict[str, Any]:
        """Return what is known, by name."""
        return {name: value for name, value in asdict(self).items() if value not in {"", 0} or name == "size"}


@frozen
class Wanted:
    """What a follower wants to hear of: of each kind one of these, or anything where there are none."""

    apps: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    stages: frozenset[str] = frozenset()

    @classmethod
    def read(cls, request: dict[str, Any]) -> Wanted:
        """Read what is wanted: lists of texts named ``apps``, ``channels``, ``types`` and ``stages``, each of which may be missing.

        :raises InvalidArgument: one is no such list, or one of the types or stages is none.
        """
        lists = [request.get(name, []) for name in ("apps", "channels", "types", "stages")]
        if not all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in lists):
            raise InvalidArgument("apps, channels, types and stages are lists of texts")
        apps, channels, types, stages = lists
        return cls(
            frozenset(apps),
            frozenset(channels),
            frozenset(_member(NotificationType, each, "a type of notification") for each in types),
            frozenset(_member(Stage, each, "a stage of a payload") for each in stages),
        )

    def has(self, event: PayloadEvent) -> bool:
        """Tell whether an event is wanted."""
        return (
            (not self.apps or event.app in self.apps)
            and (not self.channels or event.channel in self.channels)
            and (not self.types or event.type in self.types)
            and (not self.stages or event.stage in self.stages)
        )


def _member(kind: type[E], value: str, what: str) -> E:
    try:
        return kind(value)
    except ValueError:
        raise InvalidArgument(f"{what} is one of {', '.join(kind)}, not {quoted(value)}") from None
