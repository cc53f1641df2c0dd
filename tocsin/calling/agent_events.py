"""The events of an agent, which its client has as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import field, frozen

from tocsin.calling.call import Call
from tocsin.calling.call_event import CallEvent
from tocsin.calling.handler_calls import HandlerCalls
from tocsin.calling.incoming_call import IncomingCall
from tocsin.calling.parties import CallerInfo
from tocsin.protocol.calling.agent_connection import ConnectionState, DisconnectedReason
from tocsin.protocol.calling.end_reason import CallEndReason
from tocsin.protocol.calling.push_notification import PushNotificationDetails
from tocsin.protocol.calling.push_outcome import PushOutcome
from tocsin.protocol.messages.calling import MAX_RINGING_CALLS


@frozen
class IncomingCallReceivedEventArgs:
    """A call rings."""

    incoming_call: IncomingCall


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
class ConnectionStateChangedEventArgs:
    """The agent's connection to the calling service has got another state."""

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


class AgentEvents:
    """What can be heard of an agent.

    :param what: whose events they are, for the log.
    :param ringing: the calls that ring, which a handler that is added hears of at once.
    :param client: those of the client, which are told of everything as well; None where these are they.
    """

    def __init__(
        self,
        what: str,
        calls: HandlerCalls,
        ringing: Callable[[], Iterable[IncomingCall]],
        client: AgentEvents | None = None,
    ) -> None:
        def received() -> Iterable[IncomingCallReceivedEventArgs]:
            return [IncomingCallReceivedEventArgs(incoming) for incoming in ringing() if incoming.is_ringing]

        self.incoming_call_received: CallEvent[IncomingCallReceivedEventArgs] = CallEvent(
            f"the incoming calls of {what}",
            calls,
            received,
            None if client is None else client.incoming_call_received,
            width=MAX_RINGING_CALLS,
        )
        self.unrung_call_ended: CallEvent[UnrungCallEndedEventArgs] = CallEvent(
            f"the ends of calls that have not rung at {what}",
            calls,
            also=None if client is None else client.unrung_call_ended,
        )
        self.calls_updated: CallEvent[CallsUpdatedEventArgs] = CallEvent(
            f"the calls of {what}", calls, also=None if client is None else client.calls_updated
        )
        self.connection_state_changed: CallEvent[ConnectionStateChangedEventArgs] = CallEvent(
            f"the connection of {what}", calls, also=None if client is None else client.connection_state_changed
        )
        self.push_notification_handled: CallEvent[PushNotificationHandledEventArgs] = CallEvent(
            f"the pushes of {what}", calls, also=None if client is None else client.push_notification_handled
        )


class HasAgentEvents:
    """What shows the events of agents: an agent its own, a client those of the agent that it has at the time."""

    _events: AgentEvents

    @property
    def incoming_call_received(self) -> CallEvent[IncomingCallReceivedEventArgs]:
        """A call rings. A handler that is added hears at once of those that ring already."""
        return self._events.incoming_call_received

    @property
    def unrung_call_ended(self) -> CallEvent[UnrungCallEndedEventArgs]:
        """A call has ended for which this process did not ring: an earlier one may have, and its toast may still be there."""
        return self._events.unrung_call_ended

    @property
    def calls_updated(self) -> CallEvent[CallsUpdatedEventArgs]:
        """A call was started or accepted, or has ended."""
        return self._events.calls_updated

    @property
    def connection_state_changed(self) -> CallEvent[ConnectionStateChangedEventArgs]:
        """The connection to the calling service has got another state, or another reason for it."""
        return self._events.connection_state_changed

    @property
    def push_notification_handled(self) -> CallEvent[PushNotificationHandledEventArgs]:
        """A push was looked at; before there is an agent, its client tells that it is ``KEPT``."""
        return self._events.push_notification_handled
