"""What operators are told of once a minute: devices that came and went, and what was refused, of which app and from where.

A minute in which nothing happened is passed over. What strangers can make up has no place here: an app is its client id as the service
knows it, an address is one of those that the limits count, and a reason is a name of ours.
"""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum, unique
from typing import Final, NamedTuple

from attrs import frozen

INTERVAL: Final = 60.0
"""Seconds of which is told together."""

NAMED: Final = 5
"""Of those who were refused for one reason, how many are named; the others are counted."""

REMEMBERED: Final = 256
"""Of those who were refused for one reason within a minute, how many are known apart."""


@unique
class Asked(StrEnum):
    """What was asked for, and refused."""

    NOTIFICATION = "notification"
    """To send one, or to delete toasts."""
    TOKEN = "token"  # noqa: S105  # the name of a request
    HUB = "hub"
    CHANNEL = "channel"
    CONNECTION = "connection"


class Asker(NamedTuple):
    """Who was refused: the app that it concerns, by its client id, and an address; each empty where it is not known."""

    client_id: str
    address: str


@frozen
class Refusals:
    """What was refused for one reason: how often, to whom most often, and how often to all others."""

    asked: Asked
    reason: str
    count: int
    named: tuple[tuple[Asker, int], ...]
    others: int


@frozen
class Minute:
    """What has happened in so many seconds; of refusals those for the most frequent reason come first."""

    seconds: float
    came: int
    went: int
    refusals: tuple[Refusals, ...]


class _Askers:
    """Counts exactly how often there was a refusal, and at least how often to each of those who were refused often.

    It is the algorithm of Misra and Gries: of ``n`` refusals it knows each asker of more than ``n / (REMEMBERED + 1)``, and it
    counts each too low by no more than that. So a flood from many addresses hides none from which much comes.
    """

    def __init__(self) -> None:
        self.count = 0
        self._by_asker: dict[Asker, int] = {}

    def add(self, asker: Asker) -> None:
        """Count one."""
        self.count += 1
        if asker in self._by_asker or len(self._by_asker) < REMEMBERED:
            self._by_asker[asker] = self._by_asker.get(asker, 0) + 1
        else:  # this one and one of each other cancel out, which cannot happen more often than each of them has come
            self._by_asker = {known: count - 1 for known, count in self._by_asker.items() if count > 1}

    def most(self) -> tuple[tuple[Asker, int], ...]:
        """Return those to whom it was said most often, and how often."""
        return tuple(sorted(self._by_asker.items(), key=lambda known: (-known[1], known[0]))[:NAMED])


class MinuteTally:
    """Counts what happens until that is told.

    :param now: seconds on a clock that never goes back, as for the methods.
    """

    def __init__(self, now: float) -> None:
        self._since = now
        self._came = 0
        self._went = 0
        self._refused: defaultdict[tuple[Asked, str], _Askers] = defaultdict(_Askers)

    def device_came(self) -> None:
        """Count a device that has a connection, and had none before."""
        self._came += 1

    def device_went(self) -> None:
        """Count a device that has no connection any more."""
        self._went += 1

    def refuse(self, asked: Asked, reason: str, client_id: str, address: str) -> None:
        """Count a refusal.

        :param reason: a name of ours for why.
        :param client_id: that of a registered app, or empty.
        :param address: as the limits count, or empty.
        """
        self._refused[asked, reason].add(Asker(client_id, address))

    def wait(self, now: float) -> float:
        """Return the seconds until something may have to be told; 0 if that is now."""
        return max(0.0, self._since + INTERVAL - now)

    def take(self, now: float) -> Minute | None:
        """Return what has happened since it was last taken, and begin anew; None where that is nothing."""
        seconds, self._since = now - self._since, now
        came, went, refused = self._came, self._went, self._refused
        if not (came or went or refused):
            return None
        self._came = self._went = 0
        self._refused = defaultdict(_Askers)
        found = sorted(refused.items(), key=lambda entry: (-entry[1].count, entry[0]))
        return Minute(seconds, came, went, tuple(_refusals(*reason, askers) for reason, askers in found))


def _refusals(asked: Asked, reason: str, askers: _Askers) -> Refusals:
    named = askers.most()
    return Refusals(asked, reason, askers.count, named, askers.count - sum(count for _, count in named))
