"""Whether there is a connection to the push service, as the platform's status tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tocsin.actors.clock import LoopClock
from tocsin.platform_status import ConnectionStatus
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ConnectionDown, ConnectionUp, PlatformStanding
from tocsin.protocol.network.causes import ConnectionCause, hresult_of

_SET = timedelta(seconds=1)
"""Two clocks that differ by more than that from one look to the next were set; less is how long the look took."""


class ConnectionRecord:
    """What the connection has said of itself last.

    Moments are kept by the event loop's clock, so that a wall clock that is set meanwhile falsifies none of them.
    """

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.last: ConnectionUp | ConnectionDown | None = None
        self._since = clock.monotonic()
        self._due = 0.0
        self._shown: dict[float, datetime] = {}

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return isinstance(self.last, ConnectionUp)

    @property
    def down(self) -> ConnectionDown | None:
        """What was said of there being no connection; None while there is one, and until the first attempt has ended."""
        return self.last if isinstance(self.last, ConnectionDown) else None

    def note(self, message: ConnectionUp | ConnectionDown) -> bool:
        """Note what the connection says, and tell whether that is another state, or another cause, than before."""
        now = self._clock.monotonic()
        changed = self.last is None or _state(message) != _state(self.last)
        self.last = message
        if changed:
            self._since = now
        if isinstance(message, ConnectionDown):
            self._due = now + message.wait
        return changed

    def until_attempt(self) -> float:
        """Return the seconds until the next attempt; 0 while there is a connection, or an attempt is being made."""
        return max(0.0, self._due - self._clock.monotonic()) if self.down else 0.0

    def status(self) -> ConnectionStatus:
        """Return how it stands."""
        down, since = self.down, self._show(self._since)
        due = self._show(self._due) if self.until_attempt() else None
        self._shown = {self._since: since} | ({self._due: due} if due else {})
        if down is None:
            return ConnectionStatus(self.connected, None, "", HResult.S_OK, since, due)
        return ConnectionStatus(self.connected, down.cause, down.text, hresult_of(down.cause), since, due)

    def standing(self, store_fault: str | None) -> PlatformStanding:
        """Return how it stands as apps are told of it, with why nothing can be stored, if so."""
        down, since = self.down, self._clock.monotonic() - self._since
        if down is None:
            return PlatformStanding(store_fault, self.connected, None, "", since, 0.0)
        return PlatformStanding(store_fault, False, down.cause, down.text, since, self.until_attempt())  # noqa: FBT003

    def _show(self, moment: float) -> datetime:
        """Return a moment as the wall clock shows it: the same at each look, unless that clock was set meanwhile."""
        wall = datetime.fromtimestamp(self._clock.wall(), UTC)
        shown = wall + timedelta(seconds=moment - self._clock.monotonic())
        before = self._shown.get(moment)
        return shown if before is None or abs(shown - before) > _SET else before


def _state(message: ConnectionUp | ConnectionDown) -> ConnectionCause | None:
    return message.cause if isinstance(message, ConnectionDown) else None
