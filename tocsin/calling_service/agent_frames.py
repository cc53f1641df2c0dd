"""What an agent may send: how it begins, and what it may ask."""

from __future__ import annotations

from typing import Any, Final

from tocsin.protocol.calling.switchboard import MAX_DEVICE
from tocsin.protocol.errors import NotSupported, ProtocolViolation
from tocsin.protocol.messages import codec
from tocsin.protocol.messages.calling import (
    CALLING_VERSION,
    MAX_CALL_NAME,
    MAX_LISTED_CALLS,
    AcceptCall,
    AttendCall,
    CallGoodbye,
    CallHello,
    CallReady,
    HangUpCall,
    RegisterForCallPush,
    RejectCall,
    RenewCallToken,
    SetCallMedia,
    StartCall,
    UnregisterFromCallPush,
)

_QUESTIONS: Final = (
    *(RegisterForCallPush, UnregisterFromCallPush, StartCall, AttendCall, AcceptCall, CallReady, RejectCall),
    *(HangUpCall, SetCallMedia, RenewCallToken, CallGoodbye),
)


def read_hello(frame: bytes) -> CallHello:
    """Read the first frame of a connection; an empty one stands for none.

    :raises ProtocolViolation: it is no hello as it should be.
    :raises NotSupported: the agent speaks another version.
    """
    hello = codec.decode(frame) if frame else None
    if not isinstance(hello, CallHello):
        what = "an empty message" if hello is None else type(hello).__name__
        raise ProtocolViolation(f"an agent begins with CallHello, not with {what}")
    if hello.version != CALLING_VERSION:
        older = "agent" if hello.version < CALLING_VERSION else "service"
        raise NotSupported(
            f"this service speaks version {CALLING_VERSION} of the calling protocol, and this agent version"
            f" {hello.version}: the {older} has to be updated"
        )
    if not 0 < len(hello.device) <= MAX_DEVICE or not hello.device.isprintable():
        raise ProtocolViolation(f"a device's id has 1 to {MAX_DEVICE} printable characters")
    if len(hello.name) > MAX_CALL_NAME or not hello.name.isprintable():
        raise ProtocolViolation(f"a display name has up to {MAX_CALL_NAME} printable characters")
    if len(hello.open_calls) > MAX_LISTED_CALLS:
        raise ProtocolViolation(f"a hello lists up to {MAX_LISTED_CALLS} calls, not {len(hello.open_calls)}")
    return hello


def read_question(frame: bytes) -> Any:
    """Read a later frame.

    :raises ProtocolViolation: it is no question, or has no number that its answer could repeat.
    """
    message: Any = codec.decode(frame)
    if not isinstance(message, _QUESTIONS):
        raise ProtocolViolation(f"an agent does not send {type(message).__name__} here")
    if message.request <= 0:
        raise ProtocolViolation(f"{type(message).__name__} has a request above 0, not {message.request}")
    return message
