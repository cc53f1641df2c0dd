"""The id of a call, as pushes, messages and the tags of toasts have it."""

from __future__ import annotations

import re
from typing import Final

from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted

MAX_CALL_ID: Final = 64
"""Characters of it at most: as many as the tag of a toast has."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def read_call_id(text: str, what: str = "the id of a call") -> str:
    """Read the id of a call: 1 to ``MAX_CALL_ID`` printable characters, not blanks alone.

    A UUID is returned in lower case, so that the same call has the same id however its sender writes it.

    :param what: what the sentence calls it.
    :raises InvalidArgument: it is none.
    """
    check_kind(text, what, str)
    if len(text) > MAX_CALL_ID or not text.strip() or not text.isprintable():
        raise InvalidArgument(f"{what} is a UUID, or 1 to {MAX_CALL_ID} printable characters, not {quoted(text)}")
    return text.lower() if _UUID.fullmatch(text) else text
