"""Who takes payloads: those of a channel in the foreground, those of an app in the background. The router hears of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tocsin.actors.report_effects import ReportEffects
from tocsin.actors.sessions import Sessions
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.background_queue import BackgroundQueue
from tocsin.protocol.delivery.plain_rows import PlainRow, channel_of, type_of
from tocsin.protocol.delivery.recipients import Recipient, withheld_from
from tocsin.protocol.messages.codec import encode


class Subscribers:
    """The sessions that take the payloads of channels, and those that do the background work of ``apps``."""

    def __init__(self, sessions: Sessions, reports: ReportEffects, apps: Mapping[str, BackgroundQueue]) -> None:
        self._sessions = sessions
        self._reports = reports
        self._apps = apps
        self._foreground: dict[str, str] = {}

    def split_by_session(self, message: m.Deliveries, frame: bytes) -> Iterable[tuple[str, bytes, Sequence[PlainRow]]]:
        """Take payloads apart by the session that takes them; the empty string where none does, or none may."""
        withheld = withheld_from(Recipient.FOREGROUND)
        subscribers = {self._foreground.get(channel, "") for channel in set(map(channel_of, message.rows))}
        if len(subscribers) == 1 and withheld.isdisjoint(map(type_of, message.rows)):
            return ((subscribers.pop(), frame, message.rows),)
        parts: dict[str, list[m.PayloadRow]] = {}
        for row in message.rows:
            taker = "" if type_of(row) in withheld else self._foreground.get(channel_of(row), "")
            parts.setdefault(taker, []).append(row)
        return [(name, encode(m.Deliveries(message.app, tuple(rows))), rows) for name, rows in parts.items()]

    def subscribe(self, channel: str, session: str) -> None:
        """Let a session take the payloads of a channel, unless it has left meanwhile; the last one wins."""
        if self._sessions.find(session) is not None:
            self._foreground[channel] = session
            self._reports.report(encode(m.ChannelSubscribed(channel)))

    def unsubscribe(self, channel: str, session: str) -> None:
        """Let a session take them no more, unless another has taken over."""
        if self._foreground.get(channel) == session:
            del self._foreground[channel]
            self._reports.report(encode(m.ChannelUnsubscribed(channel)))

    def stop_work(self, app: str, session: str) -> None:
        """Let a session do an app's background work no more, unless another does it."""
        background = self._apps[app]
        if session and background.session == session:
            background.session = ""
            self.report_ready(app)

    def leave(self, session: str) -> None:
        """Let a session take nothing more."""
        for channel in list(self._foreground):
            self.unsubscribe(channel, session)
        for app in self._apps:
            self.stop_work(app, session)

    def report_ready(self, app: str) -> None:
        """Tell whether an app's payloads have somewhere to go without a foreground handler."""
        self._reports.report(encode(m.AppReady(app, self._apps[app].ready)))

    def report_all(self) -> None:
        """Tell a router that knows of no subscriber yet."""
        for channel in self._foreground:
            self._reports.report(encode(m.ChannelSubscribed(channel)))
        for app in self._apps:
            self.report_ready(app)
