"""How long the end of handled payloads may wait for the commit of the next payloads."""

from __future__ import annotations

from attrs import define

PATIENCE = 0.02
"""Seconds that it waits at most: an end that is lost meanwhile lets its payload be handed out once more."""


@define
class CommitDelay:
    """Tells whether what a batch has changed is to be written now, or may share the commit of a later one."""

    _due: float | None = None
    _hurries: bool = False

    def hurry(self) -> None:
        """Let no change wait any more, since the actor is about to stop."""
        self._hurries = True

    def until(self, now: float, *, urgent: bool, ended: bool) -> float | None:
        """Return until when the changes may wait; None where they are to be written now, if there are any.

        :param now: seconds on the loop's clock, like what is returned.
        :param urgent: whether there are changes that must not wait, such as payloads to be acknowledged.
        :param ended: whether there are payloads that were handled.
        """
        waits = ended and not urgent and not self._hurries
        if waits and self._due is None:
            self._due = now + PATIENCE
        if not waits or (self._due is not None and now >= self._due):
            self._due = None
        return self._due
