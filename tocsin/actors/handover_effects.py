"""What the supervisor gives to apps, in order: payloads to the session that takes them, everything else to all."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from tocsin.actors.sessions import Sessions
from tocsin.protocol.delivery.plain_rows import PlainRow
from tocsin.protocol.errors import PlatformUnavailable
from tocsin.protocol.messages import Message
from tocsin.protocol.messages.codec import encode


@frozen
class Missed:
    """Payloads that nobody was there to take: not ``session``, or no session at all where that is empty."""

    session: str
    rows: Sequence[PlainRow]


class HandoverEffects:
    """The frames that wait for the end of the batch."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._frames: list[tuple[str | None, bytes, Sequence[PlainRow]]] = []

    def hand_over(self, session: str, frame: bytes, rows: Sequence[PlainRow]) -> None:
        """Let a frame with these payloads go to a session."""
        self._frames.append((session, frame, rows))

    def send_to_all(self, message: Message) -> None:
        """Let a message go to every session, behind the payloads so far: the one that it concerns knows it."""
        self._frames.append((None, encode(message), ()))

    async def perform(self) -> list[Missed]:
        """Send all of it, waiting for room, and return what nobody was there to take."""
        frames, self._frames = self._frames, []
        missed = []
        for session, frame, rows in frames:
            if session is None:
                for name in self._sessions.names():
                    await self._put(name, frame)
            elif not await self._put(session, frame):
                missed.append(Missed(session, rows))
        return missed

    async def _put(self, name: str, frame: bytes) -> bool:
        mailbox = self._sessions.find(name)
        if mailbox is None:
            return False
        try:
            await mailbox.send_frame(frame)
        except PlatformUnavailable:  # it is leaving
            return False
        return True
