"""When an agent that was started on demand ends itself: a while after the last app that needs it has gone.

Source: the long-running process of the Windows App SDK ends 5 s after its last listener. There a registration that came
while the time ran out was lost; here the question is asked once more when the time is over.
"""

from __future__ import annotations

from typing import Final

from attrs import define

ON_DEMAND: Final = 5.0
"""Seconds after which an agent ends itself that was started because an app has connected."""


@define
class Idleness:
    """How long an agent has been of no use to any app; moments in seconds on a clock that never goes back."""

    patience: float
    """Seconds that it may be so."""
    _since: float | None = None
    _arrivals: int = 0

    def note(self, now: float, *, sessions: int, arrivals: int, holds: bool) -> None:
        """Note how many sessions there are, how many have ever come, and whether any app holds a channel or a trigger."""
        if sessions or holds:
            self._since = None
        elif self._since is None or arrivals != self._arrivals:  # one that came and left between two looks counts too
            self._since = now
        self._arrivals = arrivals

    def wait(self, now: float) -> float | None:
        """Return the seconds until it is to be asked again whether the agent ends; None while it is of use."""
        return None if self._since is None else max(0.0, self._since + self.patience - now)

    def is_over(self, now: float) -> bool:
        """Whether the agent ends now."""
        return self.wait(now) == 0
