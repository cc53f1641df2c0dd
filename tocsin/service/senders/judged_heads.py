"""What the channel route reads in the headers of a request, once for all requests that say the same.

Senders say the same again and again. What says nothing to the route, such as the header of a trace, is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

from tocsin.protocol.service import wns
from tocsin.protocol.service.wns import NotificationRequest, WnsRefusal
from tocsin.service.web.headers import RawHeaders

_REMEMBERED: Final = 4_096  # a sender has as many as its bodies have lengths
_LONGEST: Final = 4_096  # bytes of what is remembered of a head; that of a sender has some 600
_READ: Final = frozenset(name.encode() for name in wns.READ)
_VECTOR: Final = b"ms-cv"


Said = tuple[tuple[bytes, bytes], ...]
"""The headers of a request that a way in reads."""

T = TypeVar("T")


class KnownHeads(Generic[T]):
    """Remembers what was found in so many heads, of which none is long; the oldest is forgotten for one more."""

    def __init__(self) -> None:
        self._known: dict[Said, T] = {}
        self.get: Callable[[Said], T | None] = self._known.get
        """Returns what was found in a head, or None."""

    def __len__(self) -> int:
        return len(self._known)

    def keep(self, said: Said, head: T) -> None:
        """Remember what was found in a head that is right: what is not, such as a forgery, is not to flush it."""
        if sum(len(name) + len(value) for name, value in said) <= _LONGEST:
            if len(self._known) >= _REMEMBERED:
                del self._known[next(iter(self._known))]
            self._known[said] = head


class JudgedHead(NamedTuple):
    """What stands in the headers: who sends, and what; each may be the refusal that it is answered with."""

    bearer: str | WnsRefusal
    """The access token."""
    request: NotificationRequest | WnsRefusal
    """What a POST wants."""
    expects: bool
    """Whether there is a header ``Expect``."""


class JudgedHeads:
    """Reads heads, and remembers those that are right.

    :param is_verified: tells whether an access token was found to be right already, so that its head may be remembered.
    """

    def __init__(self, is_verified: Callable[[str], bool]) -> None:
        self._is_verified = is_verified
        self._known = KnownHeads[JudgedHead]()

    def judge(self, headers: RawHeaders) -> tuple[JudgedHead, str | None]:
        """Return what the headers say, and the correlation vector; None where there is none."""
        said = tuple([header for header in headers if header[0] in _READ])
        known = self._known.get(said)
        return (known, None) if known is not None else self._look(said)

    def _look(self, said: Said) -> tuple[JudgedHead, str | None]:
        """Look closer: the vector is another each time, and no part of what is remembered."""
        vectors = [value.decode("latin-1") for name, value in said if name == _VECTOR]
        same = tuple([header for header in said if header[0] != _VECTOR]) if vectors else said
        return self._known.get(same) or self._judge(same), ", ".join(vectors) if vectors else None

    def _judge(self, said: Said) -> JudgedHead:
        found = wns.collect(said)
        head = JudgedHead(wns.bearer_token(found), wns.read_notification(found), "expect" in found)
        if (
            not isinstance(head.bearer, WnsRefusal)
            and not isinstance(head.request, WnsRefusal)
            and self._is_verified(head.bearer)
        ):
            self._known.keep(said, head)
        return head
