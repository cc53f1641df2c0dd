"""What the handlers of events are called with: one value each, which does not change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from tocsin.protocol.calling.agent_calls import PushOutcome
from tocsin.protocol.calling.agent_connection import ConnectionReason, ConnectionState
from tocsin.protocol.calling.call_state import CallState, ParticipantState
from tocsin.protocol.calling.end_reason import CallEndReason
from tocsin.protocol.calling.push_notification import PushNotificationDetails
from tocsin.protocol.calling.raw_id import CommunicationIdentifier

if TYPE_CHECKING:
    from tocsin.calling.call import Call
    from tocsin.calling.call_agent import CommonCallAgent
    from tocsin.calling.incoming_call import IncomingCall


@frozen
class CallerInfo:
    """Who calls."""

    display_name: str
    """As the caller or the service has it; may be empty."""
    identifier: CommunicationIdentifier

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


@frozen
class IncomingCallReceivedEventArgs:
    """A call rings."""

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
    reason: ConnectionReason


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
