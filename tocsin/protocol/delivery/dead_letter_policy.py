"""How long payloads that ended without being handled are kept to be looked at: neither many nor old ones are, for ever."""

from __future__ import annotations

from attrs import field, frozen

from tocsin.protocol.arguments import number

PRUNE_AFTER = 256
"""Payloads that end unhandled before it is looked again whether there are too many."""


@frozen
class DeadLetterPolicy:
    """Which dead letters are kept: the newest ``keep``, for ``days``; those that are not stay counted by their reasons.

    They are let go at the start, and after every 256 that have come since.

    :raises InvalidArgument: ``keep`` is below 0, or ``days`` is not above it.
    """

    keep: int = field(default=10_000, validator=number(0, whole=True))
    days: float = field(default=90.0, validator=number(0, above=True))

    def oldest(self, now: float) -> float:
        """Return the time before which none is kept; both in seconds since the epoch."""
        return now - self.days * 24 * 3600
