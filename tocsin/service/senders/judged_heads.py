"""What the channel route reads in the headers of a request, once for all requests that say the same.

Senders say the same again and again. What says nothing to the route, such as the header of a trace, is not looked at, and what is
another each time is no part of what is remembered.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from tocsin.protocol.service import wns
from tocsin.protocol.service.wns import NotificationRequest, WnsRefusal
from tocsin.service.web.headers import RawHeaders

_REMEMBERED: Final = 1_024
_VARIES: Final = {name.encode(): name in {"content-length", "ms-cv"} for name in wns.READ}
"""What says something, and whether that is another each time."""


class JudgedHead(NamedTuple):
    """What stands in the headers: who sends, and what; each may be the refusal that it is answered with."""

    bearer: str | WnsRefusal
    """The access token."""
    request: NotificationRequest | WnsRefusal
    """What a POST wants."""
    expects: bool
    """Whether there is a header ``Expect``."""


class JudgedHeads:
    """Remembers what is right in a bounded number of heads; what is not, such as a forgery, cannot flush it."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[bytes, bytes], ...], JudgedHead] = {}

    def judge(self, headers: RawHeaders) -> tuple[JudgedHead, str | None, str | None]:
        """Return what the headers say, and what is said of the length and the correlation vector, or None where nothing is."""
        same, length, vector = [], None, None
        for header in headers:
            name = header[0]
            varies = _VARIES.get(name)
            if varies is False:
                same.append(header)
            elif varies:
                text = header[1].decode("latin-1")
                if name == b"ms-cv":
                    vector = text if vector is None else f"{vector}, {text}"
                else:
                    length = text if length is None else f"{length}, {text}"
        key = tuple(same)
        return self._known.get(key) or self._judge(key), length, vector

    def _judge(self, headers: tuple[tuple[bytes, bytes], ...]) -> JudgedHead:
        said = wns.collect(headers)
        head = JudgedHead(wns.bearer_token(said), wns.read_all_but_length(said), "expect" in said)
        if not isinstance(head.bearer, WnsRefusal) and not isinstance(head.request, WnsRefusal):
            if len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[headers] = head
        return head
