"""What a request asks of a hub, read from its method, path and query, and the right that its key needs for it.

Sources: "Notification Hubs REST APIs", and what unmodified clients send: paths in any case, with or without a slash at the
end, any ``api-version`` or none, names of the query with ``$`` or ``%24``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final
from urllib.parse import parse_qsl, unquote

from attrs import field, frozen

from tocsin.protocol.hub.channel_uri import check_channel_uri
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.rights import GRANTED, Right
from tocsin.protocol.text import quoted

MAX_TOP: Final = 100
"""Registrations in one answer at most; where more are asked for, that many come."""

MAX_ID: Final = 256
"""Characters of the id of a registration, an installation or a message at most, and of a hub's name."""

MAX_TARGET: Final = 16_384
"""Characters of a path and its query at most."""

CONTINUATION: Final = "x-ms-continuationtoken"
"""The header that says where a list goes on: of the answer, and of the next request where its query does not say it."""

_FIELDS: Final = 32
_FILTER: Final = re.compile(r"\s*ChannelUri\s+eq\s+'(.*)'\s*", re.IGNORECASE | re.DOTALL)
_ETAG: Final = re.compile(r'(?:W/)?"?([0-9]{1,18})"?')


@frozen
class CreateRegistration:
    """A registration of the entry in the body, under an id that the hub makes."""


@frozen
class CreateRegistrationId:
    """An id for a registration to come."""


@frozen
class PutRegistration:
    """The entry in the body under this id: made, or replaced where ``If-Match`` allows it."""

    id: str


@frozen
class GetRegistration:
    """One registration."""

    id: str


@frozen
class DeleteRegistration:
    """One registration to remove."""

    id: str


@frozen
class ListRegistrations:
    """Registrations: those of a channel, those with a tag, or all where both are empty; ``top`` of them, behind ``after``."""

    channel_uri: str = field(default="", repr=False)
    tag: str = ""
    top: int = MAX_TOP
    after: str = ""
    """The continuation token of the answer before, empty at the beginning: it may be anything."""


@frozen
class PutInstallation:
    """The installation in the body under this id: made, or replaced."""

    id: str


@frozen
class GetInstallation:
    """One installation."""

    id: str


@frozen
class PatchInstallation:
    """An installation to change as the body says."""

    id: str


@frozen
class DeleteInstallation:
    """One installation to remove."""

    id: str


@frozen
class SendMessage:
    """A message: to a tag expression or all, or to one channel where ``direct``; with its outcome in the answer where ``test``."""

    direct: bool = False
    test: bool = False


@frozen
class SendBatch:
    """A message to the channels in its second part."""


@frozen
class GetMessage:
    """What became of a message."""

    id: str


@frozen
class ScheduleMessage:
    """A message for later."""


@frozen
class CancelScheduled:
    """A message for later that is not to be sent."""

    id: str


HubOperation = (
    CreateRegistration
    | CreateRegistrationId
    | PutRegistration
    | GetRegistration
    | DeleteRegistration
    | ListRegistrations
    | PutInstallation
    | GetInstallation
    | PatchInstallation
    | DeleteInstallation
    | SendMessage
    | SendBatch
    | GetMessage
    | ScheduleMessage
    | CancelScheduled
)


@frozen
class HubRequest:
    """What is asked of which hub; whether there is such a hub, the caller knows."""

    hub: str
    operation: HubOperation


_SENDING: Final = (SendMessage, SendBatch, GetMessage, ScheduleMessage, CancelScheduled)
_NOT_HERE: Final = {
    "": "The settings of a hub are not changed over HTTP: use the command tocsin hub.",
    "feedbackcontainer": "There is no feedback container: what became of a message is at messages/{id}.",
    "jobs": "There are no jobs: registrations are made one by one.",
}
_KNOWN: Final = (
    "registrations, registrationids, tags/{tag}/registrations, installations/{id}, messages and schedulednotifications"
)


def read_hub_request(method: str, path: str, query: str, continuation: str = "") -> HubRequest:
    """Read what a request asks.

    :param method: in capitals.
    :param path: as it was sent, percent-encoded: ``/{hub}/...``.
    :param query: as it was sent, without the question mark.
    :param continuation: the header ``x-ms-continuationtoken``, empty where there is none.
    :raises HubRefused: 400, 404, 405 or 501; the sentence says what would be right.
    """
    if len(path) + len(query) > MAX_TARGET:
        raise HubRefused(HubReason.WRONG_QUERY, f"The path and its query have more than {MAX_TARGET} characters.")
    pieces = [_decoded(piece) for piece in path.split("/") if piece]
    if not pieces:
        raise HubRefused(HubReason.UNKNOWN_PATH, "The path names no hub: it begins with /{hub}/.")
    return HubRequest(pieces[0], _operation(method, pieces[1:], _query(query), continuation))


def _operation(method: str, pieces: list[str], query: Mapping[str, str], continuation: str) -> HubOperation:
    room = pieces[0].lower() if pieces else ""
    if room in _NOT_HERE:
        raise HubRefused(HubReason.NOT_HERE, _NOT_HERE[room])
    if room == "tags" and len(pieces) == 3 and pieces[2].lower() == "registrations":
        if method != "GET":
            raise _not_allowed("tags/{tag}/registrations", ["GET"], method)
        return _list(query, continuation, tag=pieces[1])
    place = "/".join(pieces).lower()
    if place in _COLLECTIONS:
        methods = _COLLECTIONS[place]
        if method not in methods:
            raise _not_allowed(place, methods, method)
        return methods[method](query, continuation)
    if room in _ITEMS and len(pieces) == 2:
        items = _ITEMS[room]
        if method not in items:
            raise _not_allowed(f"{room}/{{id}}", items, method)
        return items[method](pieces[1])
    raise HubRefused(HubReason.UNKNOWN_PATH, f"A hub has no {quoted(place)}: it has {_KNOWN}.")


def _not_allowed(place: str, methods: Collection[str], method: str) -> HubRefused:
    return HubRefused(
        HubReason.WRONG_METHOD, f"{place} takes {' and '.join(methods)}, not {quoted(method)}.", allowed=methods
    )


def _list(query: Mapping[str, str], continuation: str, tag: str = "") -> ListRegistrations:
    if "$skip" in query:
        raise HubRefused(HubReason.WRONG_QUERY, f"$skip is not taken: send the {CONTINUATION} of the answer before.")
    if tag and "$filter" in query:
        raise HubRefused(HubReason.WRONG_QUERY, "$filter is not taken together with a tag.")
    after = query.get("continuationtoken") or query.get(CONTINUATION) or continuation
    return ListRegistrations(_filtered(query.get("$filter", "")), tag, _top(query), after)


def _top(query: Mapping[str, str]) -> int:
    text = query.get("$top", str(MAX_TOP))
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text)):
        raise HubRefused(HubReason.WRONG_QUERY, f"$top is a whole number from 1 to 999999999, not {quoted(text)}.")
    return min(int(text), MAX_TOP)


def _filtered(text: str) -> str:
    """Read the URI in a filter; some clients escape it once more than the query needs."""
    if not text:
        return ""
    found = _FILTER.fullmatch(text)
    if found is None:
        raise HubRefused(
            HubReason.WRONG_QUERY, "$filter is ChannelUri eq '...' with a channel's URI: nothing else is looked for."
        )
    uri = found[1].replace("''", "'").replace(" ", "+")  # it has no blank, so this was a plus that was not escaped
    return check_channel_uri(uri if "://" in uri else _unquoted(uri), "The ChannelUri in $filter")


def _query(query: str) -> dict[str, str]:
    try:
        fields = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except UnicodeDecodeError:
        raise HubRefused(HubReason.WRONG_QUERY, "The query is not UTF-8.") from None
    except ValueError:
        raise HubRefused(HubReason.WRONG_QUERY, f"The query has more than {_FIELDS} fields.") from None
    return {name.lower(): value for name, value in reversed(fields)}


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false").lower()
    if text not in {"", "true", "1", "false", "0"}:
        raise HubRefused(HubReason.WRONG_QUERY, f"{name} is true, or stands without a value, not {quoted(text)}.")
    return text in {"", "true", "1"}


_COLLECTIONS: Final[dict[str, dict[str, Callable[[Mapping[str, str], str], HubOperation]]]] = {
    "registrations": {
        "GET": _list,
        "POST": lambda _query, _token: CreateRegistration(),
    },
    "registrationids": {"POST": lambda _query, _token: CreateRegistrationId()},
    "messages": {"POST": lambda query, _token: SendMessage(_flag(query, "direct"), _flag(query, "test"))},
    "messages/$batch": {"POST": lambda _query, _token: SendBatch()},
    "schedulednotifications": {"POST": lambda _query, _token: ScheduleMessage()},
}
_ITEMS: Final[dict[str, dict[str, Callable[[str], HubOperation]]]] = {
    "registrations": {"DELETE": DeleteRegistration, "GET": GetRegistration, "PUT": PutRegistration},
    "installations": {
        "DELETE": DeleteInstallation,
        "GET": GetInstallation,
        "PATCH": PatchInstallation,
        "PUT": PutInstallation,
    },
    "messages": {"GET": GetMessage},
    "schedulednotifications": {"DELETE": CancelScheduled},
}


def _decoded(piece: str) -> str:
    text = _unquoted(piece)
    if len(text) > MAX_ID or not text.isprintable():
        raise HubRefused(
            HubReason.WRONG_QUERY, f"A piece of the path has up to {MAX_ID} printable characters, not {quoted(text)}."
        )
    return text


def _unquoted(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise HubRefused(HubReason.WRONG_QUERY, "What is escaped in the path and the query is UTF-8.") from None


def required_right(operation: HubOperation) -> Right:
    """Return what a key must allow for it."""
    if isinstance(operation, _SENDING):
        return Right.SEND
    if isinstance(operation, ListRegistrations) and not operation.channel_uri:
        return Right.MANAGE
    return Right.LISTEN


def check_right(operation: HubOperation, key: Right) -> None:
    """Refuse what a key does not allow.

    :param key: the right that the key was given out for.
    :raises HubRefused: 403.
    """
    right = required_right(operation)
    if right not in GRANTED[key]:
        raise HubRefused(
            HubReason.RIGHT_LACKING, f"The key allows {key}, and this needs {right}: use a key that allows it."
        )


def etag_matches(if_match: str, etag: int) -> bool:
    """Tell whether a header ``If-Match`` allows a change of what has this ETag: ``*``, ``"1"``, ``W/"1"`` or ``1``."""
    text = if_match.strip()
    found = _ETAG.fullmatch(text)
    return text == "*" or (found is not None and int(found[1]) == etag)
