"""Who takes the payloads of which channel in the foreground; the router hears of every change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tocsin.actors.reports import Reports
from tocsin.protocol import messages as m
from tocsin.protocol.codec import encode


class Sinks:
    """The session that takes the payloads of a channel, by the channel."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._sessions: dict[str, str] = {}

    def apart(
        self, message: m.Deliveries, frame: bytes, channels: Iterable[str]
    ) -> Iterable[tuple[str, bytes, Sequence[m.Delivery]]]:
        """Take payloads of these channels apart by who takes them, or the empty string where nobody does."""
        takers = {self._sessions.get(channel, "") for channel in channels}
        if len(takers) == 1:
            return ((takers.pop(), frame, message.rows),)
        parts: dict[str, list[m.Delivery]] = {}
        for row in message.rows:
            parts.setdefault(self._sessions.get(row[-1], ""), []).append(row)
        return [(name, encode(m.Deliveries(message.app, tuple(rows))), rows) for name, rows in parts.items()]

    def attach(self, channel: str, session: str) -> None:
        """Let a session take them; the last one wins."""
        self._sessions[channel] = session
        self._reports.add(encode(m.SinkOpened(channel)))

    def detach(self, channel: str, session: str) -> None:
        """Let a session take them no more, unless another has taken over."""
        if self._sessions.get(channel) == session:
            del self._sessions[channel]
            self._reports.add(encode(m.SinkClosed(channel)))

    def leave(self, session: str) -> None:
        """Let a session take nothing more."""
        for channel in list(self._sessions):
            self.detach(channel, session)

    def tell(self) -> None:
        """Tell a router that knows of none yet."""
        for channel in self._sessions:
            self._reports.add(encode(m.SinkOpened(channel)))
