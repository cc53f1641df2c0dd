"""How a platform stands, as an app sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from attrs import field, frozen

from tocsin.mailbox import MailboxStatistics
from tocsin.protocol.hresult import HResult, describe
from tocsin.protocol.messages import PlatformStanding
from tocsin.protocol.network.causes import ConnectionCause, hresult_of


@frozen
class ConnectionStatus:
    """Whether there is a connection to the push service; if not, why, and when the next attempt is."""

    connected: bool
    cause: ConnectionCause | None
    """Why there is none; None while there is one, and until the first attempt has ended."""
    text: str
    """The cause in a sentence, for people; empty where there is none."""
    hresult: int = field(repr=describe)
    """What the cause is for a channel request: the result code of its failure, 0 where there is none."""
    since: datetime
    """When this began (aware UTC): the connection, or the present cause for there being none."""
    next_attempt: datetime | None
    """When the next attempt to connect is (aware UTC); None while there is a connection, or an attempt is being made."""


@frozen
class PlatformStatus:
    """How a platform stands."""

    store_fault: str | None
    """Why nothing can be stored just now, so that nothing is acknowledged; None while all is well."""
    connection: ConnectionStatus
    """Whether there is a connection to the push service; if not, why."""
    mailboxes: tuple[MailboxStatistics, ...]
    dead_frames: dict[str, int]
    """Frames that no actor could take, by mailbox."""
    unanswered: int
    """Answers to apps that had left."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the push service."""
        return self.connection.connected


class StandingRecord:
    """What the agent has said last of how its platform stands, with the moment at which it has said it."""

    def __init__(self) -> None:
        self.last = PlatformStanding(None, connected=False, cause=None, text="", since=0.0, due=0.0)
        self._heard = datetime.now(UTC)

    def note(self, standing: PlatformStanding) -> None:
        """Note what was said just now."""
        self.last, self._heard = standing, datetime.now(UTC)

    def status(self, mailboxes: tuple[MailboxStatistics, ...]) -> PlatformStatus:
        """Return how it stands; ``mailboxes`` are those of the app's own end."""
        said = self.last
        since = self._heard - timedelta(seconds=said.since)
        due = self._heard + timedelta(seconds=said.due) if said.due else None
        hresult = HResult.S_OK if said.cause is None else hresult_of(said.cause)
        connection = ConnectionStatus(said.connected, said.cause, said.text, hresult, since, due)
        return PlatformStatus(said.store_fault, connection, mailboxes, {}, 0)
