"""What an app may choose of its agent and of each call."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from attrs import field, frozen

from tocsin.calling.signalling import Signalling
from tocsin.protocol.arguments import check_kind, truth
from tocsin.protocol.calling.push_registration import DEFAULT_TTL, check_ttl
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.messages.calling import MAX_CALL_NAME
from tocsin.protocol.text import quoted


def check_display_name(value: object, what: str) -> None:
    """Refuse what is no name of a caller: up to ``MAX_CALL_NAME`` printable characters, or none.

    :raises InvalidArgument: the value is none.
    """
    check_kind(value, what, str)
    if len(str(value)) > MAX_CALL_NAME or not str(value).isprintable():
        raise InvalidArgument(f"{what} has up to {MAX_CALL_NAME} printable characters, not {quoted(value)}")


def _name(_: Any, attribute: Any, value: Any) -> None:
    check_display_name(value, attribute.name)


def _ttl(_: Any, attribute: Any, value: Any) -> None:
    check_kind(value, attribute.name, timedelta)
    check_ttl(value.total_seconds())


@frozen(kw_only=True)
class CallClientOptions:
    """What a client may be given besides its service."""

    signalling: Signalling | None = None
    """What opens connections to the calling service; None opens WebSockets."""


@frozen
class CallAgentOptions:
    """How an agent shows itself, and how its device is rung; an argument that cannot be right raises InvalidArgument."""

    display_name: str = field(default="", validator=_name)
    """What the users that it calls are shown, up to 256 printable characters; where it is empty, the name that the service has."""
    push_notification_ttl: timedelta = field(default=timedelta(seconds=DEFAULT_TTL), validator=_ttl, kw_only=True)
    """How long a registration for pushes lasts without the agent, from 5 minutes to 180 days (Teams: 24 hours); renewed before."""
    disable_internal_push_for_incoming_call: bool = field(default=False, validator=truth, kw_only=True)
    """Whether the agent learns of calls by pushes only, and not over its connection as well."""


@frozen(kw_only=True)
class StartCallOptions:
    """How a call is begun."""

    video: bool = field(default=False, validator=truth)
    """Whether it is announced as a call with video."""
    muted: bool = field(default=False, validator=truth)
    """Whether the microphone is off from the begin."""


@frozen(kw_only=True)
class AcceptCallOptions:
    """How a call is accepted."""

    video: bool = field(default=False, validator=truth)
    """Whether it is accepted with video; pictures themselves are not carried."""
    muted: bool = field(default=False, validator=truth)
    """Whether the microphone is off from the begin."""
