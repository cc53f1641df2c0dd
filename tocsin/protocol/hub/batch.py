"""A batch: a notification and the channels that it is for, as two parts of one body (RFC 2046 §5.1)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from attrs import field, frozen

from tocsin.protocol.hub.channel_uri import check_channel_uri
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused

MAX_DEVICES: Final = 1_000
"""Channels of a batch at most, as Notification Hubs has it."""

MAX_BATCH: Final = 1024 * 1024
"""Bytes of a batch at most."""

_BOUNDARY: Final = re.compile(
    r"multipart/mixed\s*;.*?\bboundary\s*=\s*(?:\"([^\"\r\n]{1,70})\"|([^\s;\"]{1,70}))\s*(?:;|$)",
    re.IGNORECASE | re.DOTALL,
)
_NAME: Final = re.compile(
    rb"^content-disposition[ \t]*:[^\r\n]*?;[ \t]*name[ \t]*=[ \t]*(?:\"([a-z]+)\"|([a-z]+))[ \t]*(?:;|\r?$)",
    re.IGNORECASE | re.MULTILINE,
)
_EMPTY_LINE: Final = re.compile(rb"\r?\n\r?\n")
_FORM: Final = "a batch is multipart/mixed with a boundary; its parts have Content-Disposition: inline; name=notification, and name=devices"


@frozen
class Batch:
    """A notification, and the URIs of the channels that it is for, each once."""

    notification: bytes
    devices: tuple[str, ...] = field(repr=False)


def read_batch(content_type: str, body: bytes) -> Batch:
    """Read a batch.

    :param content_type: the header, which names the boundary.
    :param body: up to ``MAX_BATCH`` bytes, with up to ``MAX_DEVICES`` channels.
    :raises HubRefused: 400, or 413 where there is too much.
    """
    if len(body) > MAX_BATCH:
        raise HubRefused(HubReason.TOO_LARGE, f"The batch has {len(body)} bytes; {MAX_BATCH} are read at most.")
    found = _BOUNDARY.match(content_type.strip())
    if found is None:
        raise HubRefused(HubReason.WRONG_BATCH, f"Content-Type names no boundary: {_FORM}.")
    parts: dict[bytes, bytes] = {}
    for head, content in _parts(body, (found[1] or found[2]).rstrip().encode("latin-1", "replace")):
        found_name = _NAME.search(head)
        name = b"" if found_name is None else (found_name[1] or found_name[2]).lower()
        if name not in {b"notification", b"devices"} or name in parts:
            raise HubRefused(
                HubReason.WRONG_BATCH, f"A part of the batch has another name, none, or that of another part: {_FORM}."
            )
        parts[name] = content
    if len(parts) != 2:
        raise HubRefused(HubReason.WRONG_BATCH, f"The batch has {len(parts)} of its two parts: {_FORM}.")
    return Batch(parts[b"notification"], _devices(parts[b"devices"]))


def _parts(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return the head and the content of each part; the content is as it came, without the line's end before the boundary."""
    # Lines end as the first one does: another sort of line's end belongs to the content.
    first = re.search(rb"(?:^|\n)--" + re.escape(boundary) + rb"[ \t]*(\r?\n)", body)
    end = re.escape(first[1] if first is not None else b"\r\n")
    delimiter = re.compile(rb"(?:^|" + end + rb")--" + re.escape(boundary) + rb"(--)?[ \t]*(?=" + end + rb"|$)")
    marks = list(_first_of(delimiter, body, 4))
    if not marks or marks[-1][1] is None:
        raise HubRefused(
            HubReason.WRONG_BATCH, f"The batch does not end with its boundary, or has more than two parts: {_FORM}."
        )
    for mark, following in pairwise(marks):
        part = body[mark.end() : following.start()]
        empty = _EMPTY_LINE.search(part)  # the first, since there may be others in the content
        if empty is None:
            raise HubRefused(
                HubReason.WRONG_BATCH, f"A part of the batch has no empty line behind its headers: {_FORM}."
            )
        yield part[: empty.start()], part[empty.end() :]


def _first_of(delimiter: re.Pattern[bytes], body: bytes, most: int) -> Iterator[re.Match[bytes]]:
    for number, mark in enumerate(delimiter.finditer(body), 1):
        yield mark
        if mark[1] is not None or number >= most:
            return


def _devices(content: bytes) -> tuple[str, ...]:
    wrong = HubRefused(
        HubReason.WRONG_BATCH, 'The part devices of a batch is a JSON list of channel URIs, such as ["https://..."].'
    )
    try:
        devices = json.loads(content)
    except (ValueError, RecursionError):
        raise wrong from None
    if not isinstance(devices, list) or not all(isinstance(uri, str) for uri in devices) or not devices:
        raise wrong
    if len(devices) > MAX_DEVICES:
        raise HubRefused(
            HubReason.TOO_LARGE, f"The batch names {len(devices)} channels; {MAX_DEVICES} are taken at most."
        )
    return tuple(check_channel_uri(uri, "A channel of the batch") for uri in dict.fromkeys(devices))
