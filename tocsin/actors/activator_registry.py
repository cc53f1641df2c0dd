"""The activator registry: knows who takes the payloads of which channel, and gives them to it."""

from __future__ import annotations

from tocsin.actors.actor import Actor, receives
from tocsin.actors.mailbox import Mailbox
from tocsin.actors.sessions import Sessions
from tocsin.protocol import messages as m
from tocsin.protocol.errors import PlatformUnavailable


class ActivatorRegistry(Actor):
    """Owns the sinks: for each channel, the session that takes its payloads in the foreground."""

    name = "activator_registry"

    def __init__(self, sessions: Sessions, supervisor: Mailbox) -> None:
        super().__init__()
        self._sessions = sessions
        self._supervisor = supervisor
        self._sinks: dict[str, str] = {}
        self._up: list[m.Message] = []
        self._replies: list[tuple[str, m.Message]] = []
        self._down: list[tuple[m.Delivery, bytes]] = []

    @receives(m.AttachSink)
    def attach(self, message: m.AttachSink, _: bytes) -> None:
        """The session takes the payloads of a channel; the last one to say so wins."""
        self._sinks[message.channel] = message.session
        self._up.append(m.SinkOpened(message.channel))
        self._replies.append((message.session, m.Done(message.request)))

    @receives(m.DetachSink)
    def detach(self, message: m.DetachSink, _: bytes) -> None:
        """It takes them no more, unless another session has taken over."""
        if self._sinks.get(message.channel) == message.session:
            del self._sinks[message.channel]
            self._up.append(m.SinkClosed(message.channel))
        self._replies.append((message.session, m.Done(message.request)))

    @receives(m.Delivery)
    def deliver(self, message: m.Delivery, frame: bytes) -> None:
        """Give a payload to the session that takes it."""
        self._down.append((message, frame))

    @receives(m.ActorRestarted)
    def peer_restarted(self, message: m.ActorRestarted, _: bytes) -> None:
        """A router that begins anew does not know which lanes are open; a supervisor may have lost what it was told."""
        if message.actor in {"payload_router", "supervisor"}:
            self._up.extend(m.SinkOpened(channel) for channel in self._sinks)

    async def flush(self) -> None:
        """Give payloads to sessions; one without a session comes back."""
        for delivery, frame in self._down:
            if not await self._give(delivery.channel, frame):
                self._supervisor.answer(m.NoSink(delivery.sequence))
        for message in self._up:
            self._supervisor.answer(message)
        for session, reply in self._replies:
            self._sessions.answer(session, reply)
        for effects in (self._down, self._up, self._replies):
            effects.clear()

    async def _give(self, channel: str, frame: bytes) -> bool:
        session = self._sessions.find(self._sinks.get(channel, ""))
        if session is None:
            return False
        try:
            await session.put(frame)
        except PlatformUnavailable:
            return False
        return True
