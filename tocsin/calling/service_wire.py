"""What goes over a wire to a calling service and back: a greeting, then messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

import anyio

from tocsin.calling.open_questions import AnyAnswer
from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.messages.calling import (
    CALLING_VERSION,
    CallDone,
    CallHello,
    CallPushRegistered,
    CallRefused,
    CallReport,
    CallWelcome,
)
from tocsin.protocol.messages.codec import decode, encode, split
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.transport.wire import Wire, WireBroken

GREETING_TIMEOUT: Final = 10.0
"""Seconds within which the service must welcome the agent."""

E = TypeVar("E", bound=Exception)


class LastWord(Exception):
    """The service ends the connection, and says why."""

    def __init__(self, refused: CallRefused) -> None:
        super().__init__(refused.error)
        self.refused = refused


async def greet(wire: Wire, hello: CallHello) -> tuple[CallWelcome, list[bytes]]:
    """Say hello; return the welcome, and the frames that came right behind it.

    :raises LastWord: the service does not let the agent in.
    :raises ProtocolViolation: it answers with something else.
    :raises WireBroken: the wire broke, or the service did not answer in time.
    """
    await wire.send(encode(hello))
    try:
        with anyio.fail_after(GREETING_TIMEOUT):
            first, *early = split(await wire.receive()) or [b""]
    except TimeoutError:
        raise WireBroken(
            f"the calling service did not greet within {GREETING_TIMEOUT:g} s", ConnectionCause.TIMED_OUT
        ) from None
    welcome = decode(first)
    if isinstance(welcome, CallRefused):
        raise LastWord(welcome)
    if not isinstance(welcome, CallWelcome) or welcome.version != CALLING_VERSION:
        raise ProtocolViolation("its greeting is no welcome of this version of the protocol")
    return welcome, early


def messages_in(frames: Iterable[bytes]) -> Iterator[AnyAnswer]:
    """Read what a service sends to an agent that it has welcomed.

    :raises LastWord: it ends the connection.
    :raises ProtocolViolation: it sends what it must not.
    """
    for frame in frames:
        message = decode(frame)
        if not isinstance(message, CallReport | CallPushRegistered | CallDone | CallRefused):
            raise ProtocolViolation(f"a service does not send {type(message).__name__}")
        if isinstance(message, CallRefused) and not message.request:
            raise LastWord(message)
        yield message


def first_of(group: ExceptionGroup[E]) -> E:
    """Return the first error in a group."""
    first = group.exceptions[0]
    return first_of(first) if isinstance(first, ExceptionGroup) else first
