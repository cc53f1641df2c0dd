"""What connectors ask of a distributor, and what they are answered, in both versions of the interface.

The dictionaries of version 2 (``a{sv}``) are here pairs of a D-Bus signature and a value, by name. A name that is not known is passed
over, and one that is known has its type, or the call is malformed.

Source: UnifiedPush, D-Bus specification 0.2 and 0.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, unique
from typing import Any, Final

from attrs import field, frozen

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.text import harmless, quoted
from tocsin.protocol.unifiedpush.names import is_service_name
from tocsin.protocol.webpush.vapid import POINT, read_key

MAX_TOKEN: Final = 100
"""Bytes that a token has at most."""

MAX_DESCRIPTION: Final = 100
"""Characters of a description that are kept; what is longer is cut."""

_MAX_KEY: Final = 100  # characters that are decoded

Values = Mapping[str, tuple[str, Any]]
"""A dictionary of version 2: signature and value by name."""


@unique
class Reason(Enum):
    """Why there is no registration, as a connector reads it."""

    INTERNAL_ERROR = "INTERNAL_ERROR"
    NETWORK = "NETWORK"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    VAPID_REQUIRED = "VAPID_REQUIRED"
    UNAUTHORIZED = "UNAUTHORIZED"


@frozen
class RegistrationRefusal:
    """A registration that is not to be, and why; ``words`` are for the log."""

    reason: Reason
    words: str


@frozen
class RegisterCall:
    """A connector asks for an endpoint, or for the one that it has.

    ``key`` is the application server key of those who may push; None lets any sender push.
    """

    version: int
    service: str
    token: str = field(repr=False)
    description: str
    key: bytes | None


def read_register(version: int, body: Sequence[Any]) -> RegisterCall | RegistrationRefusal:
    """Read the arguments of ``Register``: three texts in version 1, a dictionary in version 2.

    :raises ProtocolViolation: they are not those of the specification.
    """
    if version == 1:
        service, token, description = body
        vapid = ""
    else:
        (values,) = body
        service, token = _text(values, "service"), _text(values, "token")
        description, vapid = _text(values, "description", ""), _text(values, "vapid", "")
    if not is_service_name(service):
        raise ProtocolViolation(f"service is the name that the app owns on the bus, not {quoted(service)}")
    _check_token(token)
    try:
        key = read_key(vapid[:_MAX_KEY]) if vapid else None
    except ValueError:
        words = (
            f"{service} gives a vapid key that is none: {POINT} bytes of a point of P-256 in base64url would be right"
        )
        return RegistrationRefusal(Reason.VAPID_REQUIRED, words)
    return RegisterCall(version, service, token, harmless(description, MAX_DESCRIPTION), key)


def check_service(service: str, *, there: bool) -> None:
    """Check that an app may be registered under a name on the bus.

    :param there: whether a process owns that name, or the bus can start one that does.
    :raises ProtocolViolation: neither is so, and no app could be told an endpoint.
    """
    if not there:
        raise ProtocolViolation(
            f"service is the name that the app owns on the bus: nothing owns {quoted(service)}, and no file of that name"
            " in dbus-1/services lets the bus start it; own the name before Register is called"
        )


def read_unregister(version: int, body: Sequence[Any]) -> str:
    """Read the token of ``Unregister``.

    :raises ProtocolViolation: there is none.
    """
    token: str = body[0] if version == 1 else _text(body[0], "token")
    _check_token(token)
    return token


def answer_to_register(version: int, refusal: RegistrationRefusal | None) -> list[Any]:
    """Return what ``Register`` answers: two texts in version 1, a dictionary in version 2."""
    success = "REGISTRATION_SUCCEEDED" if refusal is None else "REGISTRATION_FAILED"
    reason = "" if refusal is None else refusal.reason.value
    if version == 1:
        return [success, reason]
    values = {"success": ("s", success)}
    return [values | {"reason": ("s", reason)} if reason else values]


def _text(values: Values, name: str, default: str | None = None) -> str:
    signature, value = values.get(name, ("s", default))
    if signature != "s" or not isinstance(value, str):
        raise ProtocolViolation(f"{name} is a text (s), and is {'missing' if value is None else repr(signature)}")
    return value


def _check_token(token: str) -> None:
    if not 1 <= len(token.encode("utf-8", "surrogatepass")) <= MAX_TOKEN:
        raise ProtocolViolation(f"a token has 1 to {MAX_TOKEN} bytes")
