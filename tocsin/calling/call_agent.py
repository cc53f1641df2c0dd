"""What acts for a user: it rings, calls, and takes the pushes that announce calls."""

from __future__ import annotations

from tocsin.calling.call import Call
from tocsin.calling.call_event import CallEvent
from tocsin.calling.event_arguments import (
    CallsUpdatedEventArgs,
    ConnectionStateChangedEventArgs,
    IncomingCallReceivedEventArgs,
    PushNotificationHandledEventArgs,
)
from tocsin.calling.incoming_call import IncomingCall
from tocsin.calling.options import StartCallOptions
from tocsin.protocol.calling.agent_calls import PushOutcome
from tocsin.protocol.calling.agent_connection import ConnectionReason, ConnectionState
from tocsin.protocol.calling.push_notification import PushNotificationDetails
from tocsin.protocol.calling.raw_id import CommunicationIdentifier


class CommonCallAgent:
    """What agents of all kinds of users do; ``CallClient`` makes them."""

    incoming_call_received: CallEvent[IncomingCallReceivedEventArgs]
    """A call rings. A handler that is added hears at once of those that ring already."""
    calls_updated: CallEvent[CallsUpdatedEventArgs]
    connection_state_changed: CallEvent[ConnectionStateChangedEventArgs]
    push_notification_handled: CallEvent[PushNotificationHandledEventArgs]

    @property
    def user(self) -> CommunicationIdentifier:
        """The user that it acts for."""
        raise NotImplementedError

    @property
    def connection_state(self) -> ConnectionState:
        """Whether it is connected with the calling service: only then calls ring."""
        raise NotImplementedError

    @property
    def connection_reason(self) -> ConnectionReason:
        """Why it is not connected."""
        raise NotImplementedError

    @property
    def is_disposed(self) -> bool:
        """Whether it has ended."""
        raise NotImplementedError

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that this process is in, the oldest first."""
        raise NotImplementedError

    @property
    def incoming_calls(self) -> tuple[IncomingCall, ...]:
        """The calls that ring, the oldest first."""
        raise NotImplementedError

    def find_incoming_call(self, call_id: str) -> IncomingCall | None:
        """Return the call of that id if it rings in this process."""
        raise NotImplementedError

    async def attend_call(self, call_id: str) -> IncomingCall:
        """Return the call of that id, asking the service where it does not ring in this process yet.

        For a process that was started by a click on the toast of another; waits for a connection, 30 s at most.

        :raises CallEnded: it rings no more; ``reason`` says why.
        :raises NotFound: the service knows no such call of this user.
        :raises TimedOut: the service has not answered within 30 s.
        :raises PlatformUnavailable: there was no connection within 30 s.
        """
        raise NotImplementedError

    async def start_call(self, callee: str | CommunicationIdentifier, options: StartCallOptions | None = None) -> Call:
        """Ring a user, and return the call: ``RINGING``, or ``DISCONNECTED`` already where the user cannot be reached.

        :param callee: a raw id such as ``8:acs:contoso_ann``.
        :raises InvalidArgument: it is no raw id.
        :raises TimedOut: the service has not answered within 30 s; the call is then withdrawn.
        :raises PlatformUnavailable: there is no connection to the service.
        """
        raise NotImplementedError

    async def register_for_push_notification(self, uri: str) -> None:
        """Have this device rung by pushes to a channel; renewed by itself, and to be called again when the channel has another URI.

        :param uri: the channel's URI, as ``PushNotificationChannel.uri`` has it.
        :raises InvalidArgument: it cannot be one, or the service refuses it.
        :raises TimedOut: the service has not answered within 30 s; nothing is then renewed.
        :raises PlatformUnavailable: there was no connection within 30 s; nothing is registered.
        """
        raise NotImplementedError

    async def unregister_push_notification(self, *, every_device: bool = False) -> None:
        """Have this device, or every device of the user, rung by pushes no more; errors as of :meth:`register_for_push_notification`."""
        raise NotImplementedError

    async def handle_push_notification(self, notification: PushNotificationDetails | str | bytes) -> PushOutcome:
        """Take a push that may announce a call, and return what came of it; no push makes this fail.

        A call rings only if the service says that it does. Without a connection the push is kept (``KEPT``) and looked at
        when there is one.
        """
        raise NotImplementedError

    async def dispose(self) -> None:
        """End it: its calls are hung up, within 1 s, and it is connected no more. Push registrations stay."""
        raise NotImplementedError


class CallAgent(CommonCallAgent):
    """The agent of a communication user."""


class TeamsCallAgent(CommonCallAgent):
    """The agent of a Teams user."""
