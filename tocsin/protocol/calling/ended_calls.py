"""The ends of calls that an agent remembers: so that no push, however late, rings for a call that is over."""

from __future__ import annotations

from typing import Final

from attrs import Factory, define, frozen

from tocsin.protocol.calling.end_reason import CallEndReason, end_reason

NO_SUCH_CALL: Final = end_reason(404, 0)
"""The service knows no such call any more."""


@frozen
class End:
    """How a call has ended, and whether it was answered, declined or started here."""

    reason: CallEndReason
    is_ours: bool


@define
class EndedCalls:
    """The newest ends, ``keep`` at most."""

    keep: int
    _ends: dict[str, End] = Factory(dict)

    def add(self, call: str, end: End) -> None:
        """Remember the end of a call that has not ended before."""
        self._ends[call] = end
        if len(self._ends) > self.keep:
            del self._ends[next(iter(self._ends))]

    def get(self, call: str) -> End | None:
        """Return how a call has ended; None: that is not known."""
        return self._ends.get(call)

    def __len__(self) -> int:
        return len(self._ends)
