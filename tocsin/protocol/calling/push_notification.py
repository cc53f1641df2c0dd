"""The push that a call comes with: an object of JSON, in one of the forms that senders of calls write.

Sources: the documentation of ``PushNotificationInfo`` of Azure's communication-ui-library for Android (names of the fields), and
Azure's sample ``ACSCallingNativeRegistrarLite`` (the form with ``aps``, and how the context is found in ``incomingCallContext``).
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from enum import IntEnum, unique
from typing import Any, Final, TypeVar

from attrs import Factory, evolve, field, frozen

from tocsin.protocol.arguments import check_kind
from tocsin.protocol.calling.call_id import read_call_id
from tocsin.protocol.calling.jwt_claims import read_jwt_claims
from tocsin.protocol.calling.raw_id import CommunicationIdentifier, read_raw_id
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.json_text import parse_json_text
from tocsin.protocol.messages.calling import MAX_CALL_NAME
from tocsin.protocol.text import quoted
from tocsin.protocol.values import MAX_PAYLOAD

V = TypeVar("V")

_WHAT: Final = "the push notification"
_JWT: Final = "incomingCallContext"
_ID: Final = re.compile("[0-9]{1,9}")
_MAX_ID: Final = 999_999_999
_MAX_CHARACTER: Final = 4
"""Bytes of a character of a name at most."""
_JOINER: Final = "\u200d"
"""Joins what is one picture, as of a family."""


@unique
class PushEventType(IntEnum):
    """What a push says of a call."""

    NONE = 0
    INCOMING_CALL = 107
    INCOMING_GROUP_CALL = 109
    STOP_RINGING = 110
    """The call rings no longer: it was answered elsewhere, or has ended."""
    INCOMING_PSTN_CALL = 111
    """A call from a phone."""


def _event_type(event_id: int) -> PushEventType | None:
    return PushEventType(event_id) if event_id in set(PushEventType) else None


def _one_line(name: str) -> str:
    """Return a name as one line, without what turns the direction of writing or cannot be shown at all."""
    shown = "".join(each for each in name if each.isprintable() or each.isspace() or each == _JOINER)
    return " ".join(shown.split())[:MAX_CALL_NAME].strip()


@frozen
class PushNotificationDetails:
    """What a push says of a call.

    :raises InvalidArgument: ``event_type`` is not that of ``event_id``.
    """

    event_type: PushEventType | None
    """None where ``event_id`` is of a kind that is not known here."""
    event_id: int
    call_id: str = ""
    """A UUID in lower case, or as the sender has it; empty where the push has a context only."""
    caller: CommunicationIdentifier | None = None
    recipient: CommunicationIdentifier | None = None
    display_name: str = field(default="", converter=_one_line)
    """The caller's, one line of at most ``MAX_CALL_NAME`` characters; empty where the caller has none. See ``caller_name``."""
    has_incoming_video: bool = False
    context: str = field(default="", repr=False)
    """What the service knows the call by (``cp``). It is secret: it lets in who has it."""
    other: Mapping[str, Any] = field(default=Factory(dict), repr=False, hash=False)
    """What else the push has, by its names."""

    def __attrs_post_init__(self) -> None:
        if self.event_type != _event_type(self.event_id):
            raise InvalidArgument(f"the event id {quoted(self.event_id)} is not that of {quoted(self.event_type)}")

    @property
    def caller_name(self) -> str:
        """The caller's name or, without one, raw id; empty where the push has neither."""
        return self.display_name or (self.caller.raw_id if self.caller is not None else "")

    @classmethod
    def parse(cls, text: str | bytes | Mapping[str, Any]) -> PushNotificationDetails:
        """Read a push: a JSON object of at most 5,000 bytes, or what such an object holds.

        It has the fields itself, or all of them in ``data``, or nothing but ``incomingCallContext``. A call comes with a
        ``callId``, or with a context (``cp``).

        :raises InvalidArgument: it is none; the sentence says what would be right.
        """
        check_kind(text, _WHAT, str, bytes, Mapping)
        document = parse_json_text(_text_of(text) if isinstance(text, Mapping) else text, _WHAT, MAX_PAYLOAD)
        if not isinstance(document, dict):
            raise InvalidArgument(f'{_WHAT} must be a JSON object, such as {{"eventId": 107, "callId": "..."}}')
        fields = _unwrapped(document)
        return _read_context(fields[_JWT]) if fields.keys() == {_JWT} else _read_fields(fields)


def _text_of(fields: Mapping[str, Any]) -> str:
    """Write what the app holds, so that it is read as what comes as text: within bounds, and as a copy."""
    try:
        return json.dumps(dict(fields), ensure_ascii=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as wrong:
        raise InvalidArgument(f"{_WHAT} has what JSON cannot express: {wrong}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of {type(value).__name__}")


def _unwrapped(document: dict[str, Any]) -> dict[str, Any]:
    """Take the fields out of ``data``; ``aps`` is there only because Notification Hubs asks for it, where it is empty."""
    inner = document.get("data")
    fields = dict(document)
    if "eventId" not in document and isinstance(inner, dict):
        del fields["data"]
        fields |= inner
    if fields.get("aps") == {}:
        del fields["aps"]
    return fields


def _read_context(token: Any) -> PushNotificationDetails:
    """Find the context in a JWT, of which nothing is shown."""
    check_kind(token, _JWT, str)
    claims = read_jwt_claims(token, _JWT, MAX_PAYLOAD)
    context = claims.get("cc")
    try:
        is_base64 = isinstance(context, str) and bool(b64decode(context, validate=True))
    except (binascii.Error, ValueError):
        is_base64 = False
    if not isinstance(context, str) or not is_base64:
        raise InvalidArgument(f"{_JWT} has no context: its claim cc must be base64")
    call = claims.get("callId", claims.get("correlationId"))
    call_id = "" if call is None else read_call_id(call, f"the call id of {_JWT}")
    return PushNotificationDetails(
        PushEventType.INCOMING_CALL, int(PushEventType.INCOMING_CALL), call_id, context=context
    )


class _Fields:
    """The fields of a push, each taken out when it is read; of a kind that is not known, what cannot be read is left in."""

    def __init__(self, fields: dict[str, Any], *, lenient: bool) -> None:
        self.left = fields
        self._lenient = lenient

    def take(self, name: str, read: Callable[[Any, str], V], default: V) -> V:
        """Read a field; one that is missing, null or empty is the default."""
        value = self.left.get(name)
        try:
            found = default if value is None or value == "" else read(value, name)
        except InvalidArgument:
            if self._lenient:
                return default
            raise
        self.left.pop(name, None)
        return found


def _read_fields(all_fields: dict[str, Any]) -> PushNotificationDetails:
    event_id = _read_event_id(all_fields.pop("eventId", None))
    event_type = _event_type(event_id)
    fields = _Fields(all_fields, lenient=event_type is None)
    details = PushNotificationDetails(
        event_type,
        event_id,
        call_id=fields.take("callId", read_call_id, ""),
        caller=fields.take("callerId", read_raw_id, None),
        recipient=fields.take("recipientId", read_raw_id, None),
        display_name=fields.take("displayName", _read_text, ""),
        has_incoming_video=fields.take("videoCall", _read_truth, default=False),
        context=fields.take("cp", _read_printable, ""),
        other=fields.left,
    )
    if event_type not in {None, PushEventType.NONE} and not details.call_id and not details.context:
        raise InvalidArgument(f"{_WHAT} names no call: it must have a callId, or a cp")
    return details


def _read_event_id(value: Any) -> int:
    if isinstance(value, str) and _ID.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_ID:
        return value
    said = "has no eventId" if value is None else f"has the eventId {quoted(value)}"
    raise InvalidArgument(f"{_WHAT} {said}: it must be a number such as 107, or its digits as text")


def _read_text(value: Any, name: str) -> str:
    check_kind(value, name, str)
    return str(value)


def _read_printable(value: Any, name: str) -> str:
    text = _read_text(value, name)
    if not text.isprintable():
        raise InvalidArgument(f"{name} must be printable")
    return text


def _read_truth(value: Any, name: str) -> bool:
    known = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(known, bool):
        raise InvalidArgument(f'{name} must be "true" or "false", not {quoted(value)}')
    return known


def write_push(details: PushNotificationDetails) -> bytes:
    """Write a push with its fields beside each other, 5,000 bytes at most: a long name is cut for it.

    :raises InvalidArgument: it is longer even without a name, or has what JSON cannot express.
    """
    written = _written(details)
    while len(written) > MAX_PAYLOAD and details.display_name:
        least = (len(written) - MAX_PAYLOAD) // _MAX_CHARACTER
        details = evolve(details, display_name=details.display_name[: -max(1, least)])
        written = _written(details)
    if len(written) > MAX_PAYLOAD:
        raise InvalidArgument(f"{_WHAT} has {len(written)} bytes; a service takes {MAX_PAYLOAD} at most")
    return written


def _written(details: PushNotificationDetails) -> bytes:
    caller, recipient = details.caller, details.recipient
    fields: dict[str, Any] = {
        "cp": details.context,
        "callId": details.call_id,
        "recipientId": recipient and recipient.raw_id,
        "callerId": caller and caller.raw_id,
        "displayName": details.display_name,
    }
    fields = {"eventId": int(details.event_id)} | {name: value for name, value in fields.items() if value}
    if details.has_incoming_video or details.event_type is not None:
        fields["videoCall"] = "true" if details.has_incoming_video else "false"
    try:
        # A field of a kind that is not known may be in ``other``, where it could not be read.
        return json.dumps(
            {**details.other, **fields}, ensure_ascii=False, allow_nan=False, separators=(",", ":")
        ).encode()
    except (TypeError, ValueError, RecursionError) as wrong:
        raise InvalidArgument(f"{_WHAT} has what JSON cannot express: {wrong}") from None
