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
from tocsin.protocol.platform.launches import LaunchPurpose


class Subscribers:
    """The sessions that take the payloads of channels, and those that do the background work of ``apps``.

    A channel is known by its app and its name: a session of one app takes nothing of another's.
    """

    def __init__(self, sessions: Sessions, reports: ReportEffects, apps: Mapping[str, BackgroundQueue]) -> None:
        self._sessions = sessions
        self._reports = reports
        self._apps = apps
        self._withheld = withheld_from(Recipient.FOREGROUND)
        self._foreground: dict[tuple[str, str], dict[str, None]] = {}
        """The sessions of an app that take the payloads of a channel; the last one has them."""

    def split_by_session(self, message: m.Deliveries, frame: bytes) -> Iterable[tuple[str, bytes, Sequence[PlainRow]]]:
        """Take payloads apart by the session that takes them; the empty string where none does, or none may."""
        withheld = self._withheld
        channels = {channel: self._session_for(message.app, channel) for channel in set(map(channel_of, message.rows))}
        subscribers = set(channels.values())
        if len(subscribers) == 1 and withheld.isdisjoint(map(type_of, message.rows)):
            return ((subscribers.pop(), frame, message.rows),)
        parts: dict[str, list[m.PayloadRow]] = {}
        for row in message.rows:
            taker = "" if type_of(row) in withheld else channels[channel_of(row)]
            parts.setdefault(taker, []).append(row)
        return [(name, encode(m.Deliveries(message.app, tuple(rows))), rows) for name, rows in parts.items()]

    def subscribe(self, app: str, channel: str, session: str) -> None:
        """Let a session take the payloads of a channel of its app, unless it has left meanwhile; the last one has them."""
        if session in self._sessions:
            sessions = self._foreground.setdefault((app, channel), {})
            sessions.pop(session, None)
            sessions[session] = None
            self._reports.report(encode(m.ChannelSubscribed(app, channel)))

    def unsubscribe(self, app: str, channel: str, session: str) -> None:
        """Let a session take them no more; one that did before has them again."""
        sessions = self._foreground.get((app, channel), {})
        if session in sessions:
            del sessions[session]
            if not sessions:
                del self._foreground[app, channel]
                self._reports.report(encode(m.ChannelUnsubscribed(app, channel)))

    def _session_for(self, app: str, channel: str) -> str:
        sessions = self._foreground.get((app, channel))
        return next(reversed(sessions)) if sessions else ""

    def stop_work(self, app: str, session: str) -> None:
        """Let a session do an app's background work no more, unless another does it."""
        background = self._apps[app]
        if session and background.session == session:
            background.session = ""
            self.report_ready(app)

    def leave(self, session: str) -> None:
        """Let a session take nothing more."""
        for app, channel in list(self._foreground):
            self.unsubscribe(app, channel, session)
        for app in self._apps:
            self.stop_work(app, session)

    def report_ready(self, app: str) -> None:
        """Tell whether an app's payloads have somewhere to go without a foreground handler."""
        # While one is to come back that had a session before, it may have them in hand, or a handler in the foreground.
        ready = self._apps[app].ready and not self._sessions.awaits(LaunchPurpose.PUSH, app)
        self._reports.report(encode(m.AppReady(app, ready)))

    def report_all(self) -> None:
        """Tell a router that knows of no subscriber yet."""
        for app, channel in self._foreground:
            self._reports.report(encode(m.ChannelSubscribed(app, channel)))
        for app in self._apps:
            self.report_ready(app)
