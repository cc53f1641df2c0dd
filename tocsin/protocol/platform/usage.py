"""What apps have sent and received over the network: by app, day and kind of network, within bounds, held to budgets.

Days are those of the machine's local time, as numbers: those of ``datetime.date.toordinal``. How it is listed is in ``tocsin.cli.usage``.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from attrs import define, frozen

from tocsin.protocol.platform.policy import Policy

KEPT_DAYS: Final = 62
"""Days of which it is kept, that of today among them."""

MAX_APPS: Final = 1024
"""Apps of one day that are counted by name; what others send and receive counts as the platform's own."""

PLATFORM: Final = ""
"""Stands for an app where the platform itself has sent and received."""

MAX_BYTES: Final = 2**53
"""What a counter holds at most: all up to it are exact, also in JSON."""


MAX_REPORT: Final = 2**40
"""Bytes each way that an app may report at a time."""


class NetworkKind(StrEnum):
    """What a network costs; it is unknown where nothing tells."""

    FREE = "free"
    METERED = "metered"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, metered: bool | None) -> NetworkKind:  # noqa: FBT001  # a fact of the machine, as sensors tell it
        """Return the kind of a network that is metered, or is not, or of which that is not known."""
        if metered is None:
            return cls.UNKNOWN
        return cls.METERED if metered else cls.FREE


@frozen
class UsageRow:
    """What an app has sent and received on one day over one kind of network, in bytes."""

    day: int
    app: str
    network: NetworkKind
    sent: int
    received: int


@frozen
class AttributedNetworkUsage:
    """What was sent and received on account of one app, in bytes.

    Source: ``Windows.Networking.Connectivity.AttributedNetworkUsage``; it has no picture here.
    """

    attribution_id: str
    """The name of the app; empty for the platform itself."""
    attribution_name: str
    """The same for people."""
    bytes_sent: int
    bytes_received: int


def attributed(app: str, rows: Iterable[UsageRow]) -> AttributedNetworkUsage:
    """Add up rows on account of an app."""
    sent = received = 0
    for row in rows:
        sent += row.sent
        received += row.received
    return AttributedNetworkUsage(app, app or "Tocsin itself", sent, received)


def oldest_kept(today: int) -> int:
    """Return the oldest day of which something is kept."""
    return today - KEPT_DAYS + 1


@frozen
class DataBudget:
    """The bytes that an app may send and receive a day before its background work waits; None: any number."""

    daily: int | None = None
    daily_metered: int | None = None

    @classmethod
    def of(cls, policy: Policy, app: str) -> DataBudget:
        """Return what a policy allows an app: its own rules count before those of all."""
        rules = policy.rules_of(app)
        daily = policy.daily_data if rules.daily_data is None else rules.daily_data
        metered = policy.daily_metered_data if rules.daily_metered_data is None else rules.daily_metered_data
        return cls(daily, metered)

    def is_used_up(self, total: int, metered: int) -> bool:
        """Tell whether so many bytes, and so many of them on metered networks, are all that it allows."""
        used_up = self.daily is not None and total >= self.daily
        return used_up or (self.daily_metered is not None and metered >= self.daily_metered)


def has_budgets(policy: Policy) -> bool:
    """Tell whether a policy limits what any app sends and receives."""
    of_all = policy.daily_data, policy.daily_metered_data
    own = (each for rules in policy.apps.values() for each in (rules.daily_data, rules.daily_metered_data))
    return any(each is not None for each in (*of_all, *own))


@define
class _Count:
    sent: int = 0
    received: int = 0
    is_new: bool = True
    """Whether it has changed since it was stored."""


class UsageOfDay:
    """The counters of one day; :meth:`add` is on the way of every batch of payloads, and does next to nothing."""

    def __init__(self, day: int) -> None:
        self.day = day
        self.is_whole = False
        """Whether what an earlier run has stored of the day is among it."""
        self._apps: set[str] = set()
        self._counts: dict[tuple[str, NetworkKind], _Count] = {}

    def add(self, app: str, network: NetworkKind, sent: int, received: int) -> None:
        """Count bytes."""
        count = self._counts.get((app, network)) or self._begin(app, network)
        count.sent += sent
        count.received += received
        count.is_new = True

    def complete(self, rows: Iterable[UsageRow]) -> None:
        """Add what an earlier run has stored of the day, once."""
        for row in () if self.is_whole else rows:
            before = self._counts.get((row.app, row.network))
            was_new = before is not None and before.is_new
            self.add(row.app, row.network, row.sent, row.received)
            if (count := self._counts.get((row.app, row.network))) is not None:
                count.is_new = was_new
        self.is_whole = True

    def forget(self, app: str) -> None:
        """Forget an app."""
        self._apps.discard(app)
        self._counts = {key: count for key, count in self._counts.items() if key[0] != app}

    def rows(self) -> list[UsageRow]:
        """Return all that was counted."""
        return [self._row(key) for key in self._counts]

    def take_new(self) -> list[UsageRow]:
        """Return what has changed since the last time; the caller stores it, or gives it back."""
        new = [key for key, count in self._counts.items() if count.is_new]
        for key in new:
            self._counts[key].is_new = False
        return [self._row(key) for key in new]

    def give_back(self, rows: Iterable[UsageRow]) -> None:
        """Note that these could not be stored."""
        for row in rows:
            if (count := self._counts.get((row.app, row.network))) is not None:
                count.is_new = True

    def is_over(self, app: str, budget: DataBudget) -> bool:
        """Tell whether an app has used up its budget of the day; the platform itself never has."""
        if app == PLATFORM or app not in self._apps:
            return False
        used = {network: self._used(app, network) for network in NetworkKind}
        return budget.is_used_up(sum(used.values()), used[NetworkKind.METERED])

    def over_budget(self, policy: Policy) -> frozenset[str]:
        """Return the apps that have used up what a policy allows them."""
        if not has_budgets(policy):
            return frozenset()
        return frozenset(app for app in self._apps if self.is_over(app, DataBudget.of(policy, app)))

    def _used(self, app: str, network: NetworkKind) -> int:
        count = self._counts.get((app, network))
        return 0 if count is None else count.sent + count.received

    def _begin(self, app: str, network: NetworkKind) -> _Count:
        if app != PLATFORM and app not in self._apps:
            if len(self._apps) >= MAX_APPS:
                return self._counts.setdefault((PLATFORM, network), _Count())
            self._apps.add(app)
        count = self._counts[app, network] = _Count()
        return count

    def _row(self, key: tuple[str, NetworkKind]) -> UsageRow:
        count = self._counts[key]
        return UsageRow(self.day, *key, min(count.sent, MAX_BYTES), min(count.received, MAX_BYTES))
