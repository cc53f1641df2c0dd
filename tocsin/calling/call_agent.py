"""What acts for a user: it rings, calls, and takes the pushes that announce calls."""

from __future__ import annotations

from tocsin.calling.agent_events import AgentEvents, ConnectionStateChangedEventArgs, HasAgentEvents
from tocsin.calling.agent_session import AgentSession, SessionParts
from tocsin.calling.call import Call
from tocsin.calling.call_token_credential import SignIn
from tocsin.calling.incoming_call import IncomingCall
from tocsin.calling.options import CallAgentOptions, StartCallOptions
from tocsin.calling.push_desk import AnyPush
from tocsin.protocol.arguments import check_kind
from tocsin.protocol.calling.agent_connection import ConnectionState, DisconnectedReason
from tocsin.protocol.calling.call_id import read_call_id
from tocsin.protocol.calling.push_outcome import PushOutcome
from tocsin.protocol.calling.raw_id import CommunicationIdentifier, read_raw_id
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.hub.channel_uri import check_channel_uri
from tocsin.protocol.hub.hub_refused import HubRefused


class CommonCallAgent(HasAgentEvents):
    """What agents of all kinds of users do; ``CallClient`` makes them."""

    def __init__(self, parts: SessionParts, sign_in: SignIn, options: CallAgentOptions, client: AgentEvents) -> None:
        user = self._user = sign_in.user
        self._was = (ConnectionState.DISCONNECTED, DisconnectedReason.NONE)
        self._events = AgentEvents(f"the agent of {user.raw_id}", parts.handlers, lambda: self.incoming_calls, client)
        self._session = AgentSession(parts, sign_in, options, self._events, self._moved)

    def __repr__(self) -> str:
        """Show whose agent it is, and whether it is connected."""
        return f"{type(self).__name__}({self._user.raw_id!r}, {self.connection_state.name})"

    @property
    def user(self) -> CommunicationIdentifier:
        """The user that it acts for."""
        return self._user

    @property
    def connection_state(self) -> ConnectionState:
        """Whether it is connected with the calling service: only then calls ring."""
        return self._session.link.state

    @property
    def connection_reason(self) -> DisconnectedReason:
        """Why it is not connected."""
        return self._session.link.reason

    @property
    def connection_trouble(self) -> str:
        """The same in a sentence; empty while it is connected, or has not tried yet."""
        trouble = self._session.link.trouble
        return "" if trouble is None else str(trouble)

    @property
    def is_disposed(self) -> bool:
        """Whether it ends, or has ended."""
        return self._session.is_leaving

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls that this process is in, the oldest first."""
        return tuple(self._session.room.calls.values())

    @property
    def incoming_calls(self) -> tuple[IncomingCall, ...]:
        """The calls that ring, and those that are just being accepted or declined, the oldest first."""
        return tuple(self._session.room.incoming.values())

    def find_incoming_call(self, call_id: str) -> IncomingCall | None:
        """Return the call of that id, if it is one of :attr:`incoming_calls`.

        :raises InvalidArgument: it can be no call's id.
        """
        return self._session.room.incoming.get(read_call_id(call_id))

    async def attend_call(self, call_id: str) -> IncomingCall:
        """Return the call of that id, asking the service where it does not ring in this process yet.

        For a process that was started by a click on the toast of another; waits for a connection, 30 s at most.

        :raises InvalidArgument: it can be no call's id.
        :raises CallEnded: it rings no more; the text says why, and ``reason`` has the code and the subcode.
        :raises IllegalCall: it was accepted or started here, or too many calls ring.
        :raises NotFound: the service knows no such call of this user.
        :raises TimedOut: the service has not answered within 30 s.
        :raises PlatformUnavailable: there was no connection within 30 s, or it was lost.
        """
        return await self._session.attend(read_call_id(call_id))

    async def start_call(self, callee: str | CommunicationIdentifier, options: StartCallOptions | None = None) -> Call:
        """Ring a user, and return the call: ``RINGING``, or ``DISCONNECTED`` already where the user cannot be reached.

        A cancellation while the service is asked withdraws the call.

        :param callee: a raw id such as ``8:acs:contoso_ann``.
        :raises InvalidArgument: it is no raw id, or the service knows no way to such a user.
        :raises Busy: the agent is in as many calls as it may be.
        :raises TimedOut: the service has not answered within 30 s; the call is then withdrawn.
        :raises PlatformUnavailable: there is no connection to the service.
        """
        check_kind(callee, "a callee", str, CommunicationIdentifier)
        check_kind(options, "options", StartCallOptions, type(None))
        raw_id = callee if isinstance(callee, str) else callee.raw_id
        return await self._session.room.start(read_raw_id(raw_id).raw_id, options or StartCallOptions())

    async def register_for_push_notification(self, uri: str) -> None:
        """Have this device rung by pushes to a channel: renewed by itself, and to be called again when the channel has another URI.

        A cancellation ends the wait alone.

        :param uri: the channel's URI, as ``PushNotificationChannel.uri`` has it.
        :raises InvalidArgument: it cannot be one, or the service refuses it.
        :raises OperationCanceled: another call has changed the registration before this one was done.
        :raises TimedOut: the service has not answered within 30 s: it may have registered the channel, and is asked again where the
            connection was lost meanwhile.
        :raises PlatformUnavailable: there was no connection within 30 s; nothing is registered.
        """
        check_kind(uri, "a channel's URI", str)
        try:
            check_channel_uri(uri, "a channel's URI")
        except HubRefused as wrong:
            raise InvalidArgument(str(wrong)) from None
        await self._session.wait_until_connected()
        await self._session.registrar.register(uri)

    async def unregister_push_notification(self, *, every_device: bool = False) -> None:
        """Have this device rung by pushes no more; errors as of :meth:`register_for_push_notification`.

        :param every_device: whether that holds for every device of the user.
        """
        check_kind(every_device, "every_device", bool)
        await self._session.wait_until_connected()
        await self._session.registrar.unregister(every_device=every_device)

    async def handle_push_notification(self, notification: AnyPush) -> PushOutcome:
        """Take a push that may announce a call, and return what came of it; no push makes this fail.

        A call rings only if the service says that it does. Without a connection the push is kept (``KEPT``) and looked at
        when there is one.
        """
        return await self._session.desk.handle(notification)

    async def dispose(self) -> None:
        """End it: its calls are hung up, within 1 s, and it is connected no more. Push registrations stay."""
        self._session.begin_to_leave()
        await self._session.wait_until_ended()

    def _moved(self) -> None:
        now = self.connection_state, self.connection_reason
        if now != self._was:
            self._was = now
            self._events.connection_state_changed.emit(ConnectionStateChangedEventArgs(*now))

    # For the client

    async def _run(self) -> None:
        """Work until it is disposed."""
        await self._session.run()

    @property
    def _has_ended(self) -> bool:
        """Whether nothing of it is left."""
        return self._session.has_ended

    def _begin_to_dispose(self) -> None:
        """Have it end."""
        self._session.begin_to_leave()

    async def _wait_until_settled(self) -> None:
        """Wait for the end of the first attempt to connect.

        :raises InvalidArgument: the service does not take the token.
        """
        await self._session.settled.wait()
        if self.connection_reason is DisconnectedReason.INVALID_TOKEN:
            raise InvalidArgument(f"the calling service does not take the call token: {self.connection_trouble}")


class CallAgent(CommonCallAgent):
    """The agent of a communication user."""


class TeamsCallAgent(CommonCallAgent):
    """The agent of a Teams user."""
