"""Calls over push: what an app holds to be rung, to accept, and to call.

:class:`CallClient` is the entrance. It needs a calling service, such as ``tocsin calling serve`` runs. Sound and pictures are not
carried: this is about who rings where, and how that ends.

A name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin.calling.agent_events import (
        CallsUpdatedEventArgs,
        ConnectionStateChangedEventArgs,
        IncomingCallReceivedEventArgs,
        PushNotificationHandledEventArgs,
        UnrungCallEndedEventArgs,
    )
    from tocsin.calling.call import Call, CallDirection, CallStateChangedEventArgs, ParticipantsUpdatedEventArgs
    from tocsin.calling.call_agent import CallAgent, CommonCallAgent, TeamsCallAgent
    from tocsin.calling.call_client import CallAgentChangedEventArgs, CallClient
    from tocsin.calling.call_event import CallEvent
    from tocsin.calling.call_toast_content import CallAction
    from tocsin.calling.call_toasts import (
        AnswerFailedEventArgs,
        CallAcceptedEventArgs,
        CallDeclinedEventArgs,
        CallOpenedEventArgs,
        CallToasts,
    )
    from tocsin.calling.call_token_credential import CallTokenCredential, TokenRefresher
    from tocsin.calling.channel_registration import (
        ChannelHub,
        ChannelRegisteredEventArgs,
        ChannelRegistration,
        RegisteredAtHub,
        RegistrationFailedEventArgs,
    )
    from tocsin.calling.incoming_call import (
        CallEndedEventArgs,
        CallerInfoChangedEventArgs,
        IncomingCall,
        RingingStoppedEventArgs,
    )
    from tocsin.calling.options import AcceptCallOptions, CallAgentOptions, CallClientOptions, StartCallOptions
    from tocsin.calling.parties import CallerInfo, CallInfo, RemoteParticipant
    from tocsin.calling.signalling import Signalling
    from tocsin.protocol.calling.agent_connection import ConnectionState, DisconnectedReason
    from tocsin.protocol.calling.call_state import CallState, ParticipantState
    from tocsin.protocol.calling.end_reason import Bell, CallEndReason, EndCategory
    from tocsin.protocol.calling.push_notification import PushEventType, PushNotificationDetails
    from tocsin.protocol.calling.push_outcome import PushOutcome
    from tocsin.protocol.calling.raw_id import CommunicationIdentifier, IdentifierKind
    from tocsin.protocol.errors import CallEnded
    from tocsin.transport.wire import Wire, WireBroken

_HOMES = {
    "tocsin.calling.agent_events": (
        "CallsUpdatedEventArgs",
        "ConnectionStateChangedEventArgs",
        "IncomingCallReceivedEventArgs",
        "PushNotificationHandledEventArgs",
        "UnrungCallEndedEventArgs",
    ),
    "tocsin.calling.call": ("Call", "CallDirection", "CallStateChangedEventArgs", "ParticipantsUpdatedEventArgs"),
    "tocsin.calling.call_agent": ("CallAgent", "CommonCallAgent", "TeamsCallAgent"),
    "tocsin.calling.call_client": ("CallAgentChangedEventArgs", "CallClient"),
    "tocsin.calling.call_event": ("CallEvent",),
    "tocsin.calling.call_toast_content": ("CallAction",),
    "tocsin.calling.call_toasts": (
        "AnswerFailedEventArgs",
        "CallAcceptedEventArgs",
        "CallDeclinedEventArgs",
        "CallOpenedEventArgs",
        "CallToasts",
    ),
    "tocsin.calling.call_token_credential": ("CallTokenCredential", "TokenRefresher"),
    "tocsin.calling.channel_registration": (
        "ChannelHub",
        "ChannelRegisteredEventArgs",
        "ChannelRegistration",
        "RegisteredAtHub",
        "RegistrationFailedEventArgs",
    ),
    "tocsin.calling.incoming_call": (
        "CallEndedEventArgs",
        "CallerInfoChangedEventArgs",
        "IncomingCall",
        "RingingStoppedEventArgs",
    ),
    "tocsin.calling.options": ("AcceptCallOptions", "CallAgentOptions", "CallClientOptions", "StartCallOptions"),
    "tocsin.calling.parties": ("CallInfo", "CallerInfo", "RemoteParticipant"),
    "tocsin.calling.signalling": ("Signalling",),
    "tocsin.protocol.calling.agent_connection": ("ConnectionState", "DisconnectedReason"),
    "tocsin.protocol.calling.call_state": ("CallState", "ParticipantState"),
    "tocsin.protocol.calling.end_reason": ("Bell", "CallEndReason", "EndCategory"),
    "tocsin.protocol.calling.push_notification": ("PushEventType", "PushNotificationDetails"),
    "tocsin.protocol.calling.push_outcome": ("PushOutcome",),
    "tocsin.protocol.calling.raw_id": ("CommunicationIdentifier", "IdentifierKind"),
    "tocsin.protocol.errors": ("CallEnded",),
    "tocsin.transport.wire": ("Wire", "WireBroken"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AcceptCallOptions",
    "AnswerFailedEventArgs",
    "Bell",
    "Call",
    "CallAcceptedEventArgs",
    "CallAction",
    "CallAgent",
    "CallAgentChangedEventArgs",
    "CallAgentOptions",
    "CallClient",
    "CallClientOptions",
    "CallDeclinedEventArgs",
    "CallDirection",
    "CallEndReason",
    "CallEnded",
    "CallEndedEventArgs",
    "CallEvent",
    "CallInfo",
    "CallOpenedEventArgs",
    "CallState",
    "CallStateChangedEventArgs",
    "CallToasts",
    "CallTokenCredential",
    "CallerInfo",
    "CallerInfoChangedEventArgs",
    "CallsUpdatedEventArgs",
    "ChannelHub",
    "ChannelRegisteredEventArgs",
    "ChannelRegistration",
    "CommonCallAgent",
    "CommunicationIdentifier",
    "ConnectionState",
    "ConnectionStateChangedEventArgs",
    "DisconnectedReason",
    "EndCategory",
    "IdentifierKind",
    "IncomingCall",
    "IncomingCallReceivedEventArgs",
    "ParticipantState",
    "ParticipantsUpdatedEventArgs",
    "PushEventType",
    "PushNotificationDetails",
    "PushNotificationHandledEventArgs",
    "PushOutcome",
    "RegisteredAtHub",
    "RegistrationFailedEventArgs",
    "RemoteParticipant",
    "RingingStoppedEventArgs",
    "Signalling",
    "StartCallOptions",
    "TeamsCallAgent",
    "TokenRefresher",
    "UnrungCallEndedEventArgs",
    "Wire",
    "WireBroken",
]


def __getattr__(name: str) -> Any:
    """Load a name from the module that it is defined in (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
