"""What the supervisor gives to apps, in order: payloads to the session that takes them, everything else to all."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from tocsin.actors.sessions import Sessions
from tocsin.protocol.delivery.plain_rows import PlainRow
from tocsin.protocol.messages import Message
from tocsin.protocol.messages.codec import encode


@frozen
class Missed:
    """Payloads that ``session`` was not there to take; empty where no session takes them at all."""

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

    def tell(self, session: str, message: Message) -> None:
        """Let a message go to a session, behind the payloads so far."""
        self._frames.append((session, encode(message), ()))

    def send_to_all(self, message: Message) -> None:
        """Let a message go to every session, behind the payloads so far."""
        self._frames.append((None, encode(message), ()))

    def perform(self) -> list[Missed]:
        """Send all of it, and return what no session was there to take."""
        frames, self._frames = self._frames, []
        missed = []
        for session, frame, rows in frames:
            if session is None:
                for name in self._sessions.names():
                    self._sessions.hand_over(name, frame)
            elif not self._sessions.hand_over(session, frame):
                missed.append(Missed(session, rows))
        return missed
