"""The payload row where it is plain: the fields of a tuple, read by the names that :class:`PayloadRow` gives them.

Between router and handler payloads are the tuples that ``zip`` and msgpack make. If each of them became a ``PayloadRow``,
the actors would let through a quarter less.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any

from tocsin.protocol.messages import PayloadRow

PlainRow = tuple[int, str, str, bytes, int, float | None, str, str, float | None]
"""A payload as plain values, in the order of the fields of ``PayloadRow``, which is one too."""


def _field(name: str) -> Callable[[PlainRow], Any]:
    return itemgetter(PayloadRow._fields.index(name))


sequence_of: Callable[[PlainRow], int] = _field("sequence")
id_of: Callable[[PlainRow], str] = _field("id")
type_of: Callable[[PlainRow], str] = _field("type")
body_of: Callable[[PlainRow], bytes] = _field("body")
attempt_of: Callable[[PlainRow], int] = _field("attempt")
expires_of: Callable[[PlainRow], float | None] = _field("expires")
channel_of: Callable[[PlainRow], str] = _field("channel")
label_of: Callable[[PlainRow], str] = _field("label")
received_of: Callable[[PlainRow], float | None] = _field("received")
