"""The body of a notification, as the bytes that are sent."""

from __future__ import annotations

from collections.abc import Mapping

from tocsin.protocol.arguments import check_kind, check_text
from tocsin.protocol.errors import InvalidArgument


def bytes_of(body: bytes | bytearray | memoryview | str) -> bytes:
    """Return a body as it is sent; text is sent as UTF-8.

    :raises InvalidArgument: it is none.
    """
    if isinstance(body, str):
        if body:
            check_text(body, "the body")
        return body.encode()
    if isinstance(body, Mapping | list):
        raise InvalidArgument(f"the body must be text or bytes, not {type(body).__name__}: json.dumps makes text of it")
    check_kind(body, "the body", str, bytes, bytearray, memoryview)
    return bytes(body)
