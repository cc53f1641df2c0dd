"""The events of an agent, which its client has as well."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tocsin.calling.call_event import CallEvent
from tocsin.calling.event_arguments import (
    CallsUpdatedEventArgs,
    ConnectionStateChangedEventArgs,
    IncomingCallReceivedEventArgs,
    PushNotificationHandledEventArgs,
    UnrungCallEndedEventArgs,
)
from tocsin.calling.handler_calls import HandlerCalls
from tocsin.calling.incoming_call import IncomingCall


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
            f"the incoming calls of {what}", calls, received, None if client is None else client.incoming_call_received
        )
        self.unrung_call_ended: CallEvent[UnrungCallEndedEventArgs] = CallEvent(
            f"the ends of calls that have not rung at {what}", calls, also=None if client is None else client.unrung_call_ended
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
