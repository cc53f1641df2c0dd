"""What the handlers of events are called with: one value each, which does not change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import field, frozen

from tocsin.protocol.calling.agent_connection import ConnectionState, DisconnectedReason
from tocsin.protocol.calling.call_effects import Caller, Participant
from tocsin.protocol.calling.call_state import CallState, ParticipantState
from tocsin.protocol.calling.end_reason import CallEndReason
from tocsin.protocol.calling.push_notification import PushNotificationDetails
from tocsin.protocol.calling.push_outcome import PushOutcome
from tocsin.protocol.calling.raw_id import CommunicationIdentifier, IdentifierKind, read_raw_id
from tocsin.protocol.errors import InvalidArgument

if TYPE_CHECKING:
    from tocsin.calling.call import Call
    from tocsin.calling.call_agent import CommonCallAgent
    from tocsin.calling.incoming_call import IncomingCall


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
        """Return what a record has of a caller."""
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
        """Return what a record has of the other side."""
        return cls(identifier_of(participant.raw_id), participant.display_name, participant.state, participant.is_muted)


@frozen
class IncomingCallReceivedEventArgs:
    """A call rings."""

    incoming_call: IncomingCall


@frozen
class RingingStoppedEventArgs:
    """The bell of a call stops: it was accepted or declined here, or has ended."""

    incoming_call: IncomingCall


@frozen
class CallEndedEventArgs:
    """An incoming call rings no more: it has ended, or goes on where it was accepted."""

    incoming_call: IncomingCall
    reason: CallEndReason


@frozen
class CallerInfoChangedEventArgs:
    """More became known of who calls."""

    incoming_call: IncomingCall
    caller_info: CallerInfo


@frozen
class UnrungCallEndedEventArgs:
    """A call to the user has ended that did not ring in this process: an earlier one may have rung, and may have shown it."""

    call_id: str
    caller_info: CallerInfo
    is_video_enabled: bool
    reason: CallEndReason


@frozen
class CallsUpdatedEventArgs:
    """The agent has other calls than before."""

    added_calls: tuple[Call, ...]
    removed_calls: tuple[Call, ...]


@frozen
class CallStateChangedEventArgs:
    """A call has got another state."""

    call: Call
    state: CallState
    """The state that this is about; ``call.state`` may be a later one."""


@frozen
class ParticipantsUpdatedEventArgs:
    """Who else is in a call, or how they are, has changed: one that has changed is in both."""

    call: Call
    added_participants: tuple[RemoteParticipant, ...]
    removed_participants: tuple[RemoteParticipant, ...]


@frozen
class ConnectionStateChangedEventArgs:
    """The agent's connection to the calling service has got another state."""

    agent: CommonCallAgent
    state: ConnectionState
    reason: DisconnectedReason


@frozen
class PushNotificationHandledEventArgs:
    """The agent has done with a push."""

    outcome: PushOutcome
    details: PushNotificationDetails | None = field(repr=False)
    """What it said; None where it could not be read."""
    incoming_call: IncomingCall | None
    """The call that rings, or rang, in this process for it."""
    reason: CallEndReason | None
    """Why the call of the push rings no more, where that is known."""


@frozen
class CallAgentChangedEventArgs:
    """The client has got an agent, or its agent was disposed."""

    agent: CommonCallAgent | None
