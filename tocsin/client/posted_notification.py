"""A notification as it is posted: its headers and body as the service expects them, or the reason why it would refuse them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import NoneType

from attrs import field, frozen

from tocsin.client.body_bytes import bytes_of
from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.service.wns import WnsRefusal, read_notification
from tocsin.protocol.values import NotificationType


@frozen
class PostedNotification:
    """One POST to a channel, all but its token."""

    uri: str = field(repr=False)
    headers: dict[str, str]
    body: bytes = field(repr=False)


def read_options(  # noqa: PLR0913  # one for each header of WNS
    type: str,  # noqa: A002  # the header's name
    *,
    ttl: int | None,
    cache: bool | None,
    tag: str | None,
    group: str | None,
    priority: int | None,
    request_status: bool,
    suppress_popup: bool,
) -> dict[str, str]:
    """Return the headers that were chosen, by name; the arguments are those of ``WnsClient.send``.

    :raises InvalidArgument: an argument is of another kind.
    """
    check_kind(type, "type", str)
    chosen: dict[str, str] = {}
    for value, name, header, kind in (
        (ttl, "ttl", "X-WNS-TTL", int),
        (priority, "priority", "X-WNS-PRIORITY", int),
        (tag, "tag", "X-WNS-Tag", str),
        (group, "group", "X-WNS-Group", str),
    ):
        if value is not None:
            check_kind(value, name, kind, NoneType)
            chosen[header] = str(value)
    if cache is not None:
        check_kind(cache, "cache", bool, NoneType)
        chosen["X-WNS-Cache-Policy"] = "cache" if cache else "no-cache"
    for asked, name, header in (
        (request_status, "request_status", "X-WNS-RequestForStatus"),
        (suppress_popup, "suppress_popup", "X-WNS-SuppressPopup"),
    ):
        if asked is not False:
            check_kind(asked, name, bool)
            chosen[header] = "true"
    return chosen


def build_post(
    uri: str, body: bytes | bytearray | memoryview | str, kind: str, options: Mapping[str, str]
) -> PostedNotification:
    """Build the POST of a notification; text is sent as UTF-8.

    :param options: further headers, as of :func:`read_options`.
    :raises InvalidArgument: WNS would refuse it, and the sentence says why; or the body is none.
    """
    content = bytes_of(body)
    headers = {
        "X-WNS-Type": f"wns/{kind}",
        "Content-Type": "application/octet-stream" if kind == NotificationType.RAW else "text/xml",
        **options,
    }
    refused = _refusal(tuple(headers.items()), len(content))
    if refused is not None:
        raise InvalidArgument(refused)
    return PostedNotification(uri, headers, content)


@lru_cache(4_096)  # senders say the same again and again
def _refusal(headers: tuple[tuple[str, str], ...], length: int) -> str | None:
    """Say why WNS would refuse these headers and a body of so many bytes; None where it would not."""
    judged = {name.lower(): value for name, value in headers} | {"content-length": str(length)}
    verdict = read_notification(judged)
    return verdict.description if isinstance(verdict, WnsRefusal) else None
