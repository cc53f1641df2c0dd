"""What becomes of a message at each of its targets, and the sum of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum, unique
from typing import Final

from attrs import Factory, frozen

MAX_REASONS: Final = 64
"""Outcomes with reasons of their own that are told apart for one message; more are counted by their name alone."""

OTHER_REASONS: Final = "for other reasons"


@unique
class HubOutcome(StrEnum):
    """How it ended at one target, by the names that hubs have for it."""

    SUCCESS = "Success"
    """The device has committed it, or the service keeps it for the device."""
    DROPPED = "Dropped"
    """The device does not get it, for the reason that is told beside."""
    EXPIRED_CHANNEL = "ExpiredChannel"
    """The channel has ended: its registration is removed."""
    BAD_CHANNEL = "BadChannel"
    """The service knows no such channel: its registration is removed."""
    WRONG_CHANNEL = "WrongChannel"
    """The channel is that of an app for which the hub does not send."""
    TOO_LARGE = "PayloadTooLarge"
    """What the template makes of the message is longer than a payload may be."""
    WRONG_PAYLOAD = "InvalidNotificationFormat"
    """What the template makes of the message is no notification."""
    ABANDONED = "PnsUnavailable"
    """It was tried again and again, for as long as it may be."""


@frozen(cache_hash=True)  # it is counted for each target
class TargetOutcome:
    """The outcome at one target, and the reason in words, empty where there is none."""

    name: HubOutcome
    words: str = ""


@frozen
class Tally:
    """How many targets a message has come to, by outcome and reason."""

    counts: Mapping[TargetOutcome, int] = Factory(dict)

    def plus(self, more: Mapping[TargetOutcome, int]) -> Tally:
        """Return the sum of both."""
        counts = dict(self.counts)
        for outcome, count in more.items():
            if outcome not in counts and len(counts) >= MAX_REASONS:
                outcome = TargetOutcome(outcome.name, OTHER_REASONS)  # noqa: PLW2901 - what it is counted as
            counts[outcome] = counts.get(outcome, 0) + count
        return Tally(counts)

    def of(self, name: HubOutcome) -> int:
        """Return how many have ended so, whatever the reason."""
        return sum(count for outcome, count in self.counts.items() if outcome.name is name)

    @property
    def total(self) -> int:
        """How many have ended."""
        return sum(self.counts.values())

    def rows(self) -> Iterator[tuple[str, str, int]]:
        """Return name, words and count of each outcome."""
        for outcome, count in self.counts.items():
            yield outcome.name.value, outcome.words, count

    @classmethod
    def read(cls, rows: list[list[object]]) -> Tally:
        """Build a tally of its rows."""
        return cls({TargetOutcome(HubOutcome(str(name)), str(words)): int(str(count)) for name, words, count in rows})
