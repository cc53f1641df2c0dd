"""How the body of an answer ends (RFC 9112 §6.3): by its length, in chunks, with the connection, or before it has begun."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final

from tocsin.service.web.exchanges import Request
from tocsin.service.web.headers import CLOSE, RawHeaders, status_line, write

_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNSAFE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BODILESS: Final = frozenset({204, 304})


class _Kind(Enum):
    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    CONNECTION = auto()


class AnswerFraming:
    """The framing of one answer, whose headers are looked through and whose parts are counted.

    ``head`` goes out before the first part.

    :param headers: those of the application.
    :param common: those that every answer has.
    :raises RuntimeError: they are not such as may go out.
    """

    __slots__ = ("_kind", "_left", "head")

    def __init__(self, request: Request, status: int, headers: RawHeaders, common: RawHeaders) -> None:
        length, closes = None, False
        for name, value in headers:
            if not _NAME.fullmatch(name) or _UNSAFE.search(value):
                raise RuntimeError("an answer has a header that is none")
            lowered = name.lower()
            if lowered == b"content-length":
                length = int(value)
            elif lowered == b"connection":
                closes = closes or b"close" in {each.strip() for each in value.lower().split(b",")}
            elif lowered == b"transfer-encoding":
                raise RuntimeError("how an answer is transferred is not for an application to say")
        if request.sender.shared.keeps_none:
            request.sender.mark_last()
        self._kind = _kind_of(request, status, length)
        self._left = length or 0
        if closes or self._kind is _Kind.CONNECTION:
            request.keep_alive = False
        chunked = b"transfer-encoding: chunked\r\n" if self._kind is _Kind.CHUNKED else b""
        last = b"" if request.keep_alive or closes else CLOSE
        self.head = b"".join((status_line(status), write(common), write(headers), chunked, last, b"\r\n"))

    def write(self, part: bytes, *, ends: bool) -> bytes:
        """Write a part of the body; the last one ``ends`` it.

        :raises RuntimeError: it is not as long as the headers say.
        """
        match self._kind:
            case _Kind.NONE:
                return b""
            case _Kind.CONNECTION:
                return part
            case _Kind.CHUNKED:
                chunk = b"%x\r\n%b\r\n" % (len(part), part) if part else b""
                return chunk + b"0\r\n\r\n" if ends else chunk
            case _Kind.LENGTH:
                self._left -= len(part)
                if self._left < 0 or (ends and self._left):
                    raise RuntimeError("the answer is not as long as its Content-Length says")
                return part


def _kind_of(request: Request, status: int, length: int | None) -> _Kind:
    if request.method == "HEAD" or status in _BODILESS:
        return _Kind.NONE
    if length is not None:
        return _Kind.LENGTH
    return _Kind.CHUNKED if request.version == "1.1" else _Kind.CONNECTION
