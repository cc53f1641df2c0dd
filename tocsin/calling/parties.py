"""Who has a part in a call, as an app sees it."""

from __future__ import annotations

from typing import Self

from attrs import frozen

from tocsin.protocol.calling.call_effects import Caller, Participant
from tocsin.protocol.calling.call_state import ParticipantState
from tocsin.protocol.calling.push_notification import PushNotificationDetails
from tocsin.protocol.calling.raw_id import CommunicationIdentifier, IdentifierKind, read_raw_id
from tocsin.protocol.errors import InvalidArgument


def identifier_of(raw_id: str) -> CommunicationIdentifier:
    """Return whom a service means: what is no raw id stays what it is, of an unknown kind."""
    try:
        return read_raw_id(raw_id)
    except InvalidArgument:
        return CommunicationIdentifier(raw_id, IdentifierKind.UNKNOWN)


@frozen
class CallerInfo:
    """Who calls."""

    display_name: str
    """As the caller or the service has it; may be empty."""
    identifier: CommunicationIdentifier

    @classmethod
    def of(cls, caller: Caller) -> Self:
        """Return what a record has of a caller; not for apps."""
        return cls(caller.display_name, identifier_of(caller.raw_id))

    @property
    def shown(self) -> str:
        """What people are shown: the display name, else the raw id."""
        return self.display_name or self.identifier.raw_id


@frozen
class CallInfo:
    """What is known of an incoming call besides its caller."""

    id: str
    callee: CommunicationIdentifier
    """The user whom it rings."""
    push: PushNotificationDetails | None
    """What the push had that announced it; None where the service did so over the connection."""


@frozen
class RemoteParticipant:
    """The other side of a call, as it stood when it was asked for."""

    identifier: CommunicationIdentifier
    display_name: str
    state: ParticipantState
    is_muted: bool

    @classmethod
    def of(cls, participant: Participant) -> Self:
        """Return what a record has of the other side; not for apps."""
        return cls(identifier_of(participant.raw_id), participant.display_name, participant.state, participant.is_muted)
