"""Heads that were judged before: the headers of a sender's next post are mostly those of an earlier one, to the byte.

Then they need not be parsed: the parser would find in the same bytes what it has found in them before. Only the request
line differs, by the channel's token, which has to be known as it stands there.
"""

from __future__ import annotations

from typing import Final

from tocsin.service.web.express import EXPRESS, Head, Post

_BEGIN: Final = b"POST " + EXPRESS
_SKIPPED: Final = len(_BEGIN)
_VERSION: Final = b" HTTP/1.1\r\n"
_MAX_LINE: Final = 256  # bytes of a request line
_END: Final = b"\r\n\r\n"
_MAX_BLOCK: Final = 1_024  # bytes of all headers of a head that is remembered
_REMEMBERED: Final = 1_024  # heads


class Heads:
    """Remembers the heads of posts that were taken; what was not taken, such as a forgery, cannot flush it."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def recall(self, data: bytes) -> tuple[str, Head, bytes] | None:
        """Return the token, the head and the body of a post, if this is all of one whose headers are known."""
        parts = _cut(data)
        if parts is None:
            return None
        token, block, body = parts
        head = self._known.get(block)
        if head is None or len(body) != head.length:
            return None
        return token, head, body

    def remember(self, data: bytes, post: Post) -> bool:
        """Remember the head of a post that was parsed and taken, if ``data``, with which its request began, is all of it.

        :return: whether it was, so that it is of use to recall what its sender sends next.
        """
        head = post.head
        if head is None or not head.recurs:
            return False
        token, block, body = _cut(data) or ("", b"", b"")
        if (token, body) != (post.token, post.body) or len(block) > _MAX_BLOCK:
            return False
        if len(self._known) >= _REMEMBERED:
            del self._known[next(iter(self._known))]
        self._known[block] = head
        return True


def _cut(data: bytes) -> tuple[str, bytes, bytes] | None:
    """Cut what may be a post into the channel's token, the headers and the rest."""
    if not data.startswith(_BEGIN):
        return None
    line = data.find(_VERSION, _SKIPPED, _MAX_LINE)
    end = data.find(_END, line)
    if line < 0 or end < 0:
        return None
    return data[_SKIPPED:line].decode("latin-1"), data[line + len(_VERSION) : end], data[end + len(_END) :]
