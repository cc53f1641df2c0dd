"""The entrance to calling: makes the agent of a user, and takes pushes also before there is one."""

from __future__ import annotations

from os import PathLike
from types import TracebackType
from typing import Self

from tocsin.calling.call_agent import CallAgent, CommonCallAgent, TeamsCallAgent
from tocsin.calling.call_event import CallEvent
from tocsin.calling.call_token_credential import CallTokenCredential
from tocsin.calling.event_arguments import (
    CallAgentChangedEventArgs,
    IncomingCallReceivedEventArgs,
    PushNotificationHandledEventArgs,
)
from tocsin.calling.options import CallAgentOptions, CallClientOptions
from tocsin.protocol.calling.agent_calls import PushOutcome
from tocsin.protocol.calling.push_notification import PushNotificationDetails


class CallClient:
    """A calling service as an app uses it: ``async with CallClient(url, app="contoso.phone") as client``.

    When the block is left, open calls are hung up (within 1 s) and the agent is disposed.

    :param url: of the calling service, ``http://`` or ``https://``.
    :param app: the name of the app, printable, 1 to 128 characters: each app of a user is an endpoint of its own on a device.
    :param state: the folder for the id of this device; by default the user's, such as ``~/.local/state/tocsin/calling``. Made where it
        is missing.
    :param options: what else may be chosen.
    :raises InvalidArgument: an argument cannot be right.
    """

    call_agent_changed: CallEvent[CallAgentChangedEventArgs]
    """There is an agent, or none any more. A handler that is added hears at once of the one that there is."""
    incoming_call_received: CallEvent[IncomingCallReceivedEventArgs]
    """A call rings for the agent that there is then, as its own event."""
    push_notification_handled: CallEvent[PushNotificationHandledEventArgs]
    """A push was looked at, as the agent's event; before there is an agent, too: then it is ``KEPT``."""
    malformed_pushes: int
    """How many pushes could not be read."""

    def __init__(
        self,
        url: str,
        *,
        app: str,
        state: str | PathLike[str] | None = None,
        options: CallClientOptions | None = None,
    ) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError

    @property
    def call_agent(self) -> CommonCallAgent | None:
        """The agent, if there is one that is not disposed."""
        raise NotImplementedError

    async def wait_for_call_agent(self) -> CommonCallAgent:
        """Return the agent, waiting until there is one."""
        raise NotImplementedError

    async def create_call_agent(
        self, credential: CallTokenCredential, options: CallAgentOptions | None = None
    ) -> CallAgent:
        """Make the agent of a communication user, after its first attempt to connect: where that fails, it goes on trying.

        :raises InvalidArgument: the token is none, has expired and there is no refresher, is a Teams user's, or the service refuses
            it (``hresult`` 0x80070057).
        :raises IllegalCall: this client has an agent that is not disposed, or its block has not begun or is left.
        :raises StateUnavailable: the id of this device cannot be read or written.
        """
        raise NotImplementedError

    async def create_teams_call_agent(
        self, credential: CallTokenCredential, options: CallAgentOptions | None = None
    ) -> TeamsCallAgent:
        """Make the agent of a Teams user; as :meth:`create_call_agent`, which is for all others."""
        raise NotImplementedError

    async def handle_push_notification(self, notification: PushNotificationDetails | str | bytes) -> PushOutcome:
        """Give a push to the agent; without one it is kept (the 32 newest) until there is. No push makes this fail."""
        raise NotImplementedError
