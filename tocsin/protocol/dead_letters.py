"""How long payloads that ended without being handled are kept to be looked at: neither many nor old ones are, for ever."""

from __future__ import annotations

from attrs import field, frozen, validators

PRUNE_AFTER = 256
"""Payloads that end unhandled before it is looked again whether there are too many."""


@frozen
class DeadLetterPolicy:
    """Which dead letters are kept: the newest ``keep``, for ``days``; those that are not stay counted by their reasons.

    They are let go at the start, and after every 256 that have come since.
    """

    keep: int = field(default=10_000, validator=validators.ge(0))
    days: float = field(default=90.0, validator=validators.gt(0))

    def oldest(self, now: float) -> float:
        """Return the time before which none is kept; both in seconds since the epoch."""
        return now - self.days * 24 * 3600
