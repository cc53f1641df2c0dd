"""Which calls a user was told of as missed, so that no process of an app tells of one twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Final

MOST: Final = 1_024
"""Calls that are remembered, the newest."""

MAX_TEXT: Final = 65_536
"""Bytes of the memory as text at most."""

_HASH: Final = 32


class MissedCalls:
    """A memory of calls, by hashes of their ids; the newest stand last."""

    def __init__(self, hashes: Iterable[str] = ()) -> None:
        self._hashes: dict[str, None] = dict.fromkeys(hashes)
        self._forget()

    def __contains__(self, call_id: str) -> bool:
        """Tell whether the user was told of a call."""
        return _hash(call_id) in self._hashes

    def add(self, call_id: str) -> None:
        """Remember that the user was told of a call; the oldest is forgotten where there are too many."""
        self._hashes[_hash(call_id)] = None
        self._forget()

    def text(self) -> bytes:
        """Return the memory as it is kept."""
        return json.dumps({"missed": [*self._hashes]}).encode()

    @classmethod
    def read(cls, text: bytes) -> MissedCalls | None:
        """Read what :meth:`text` has written; None where it is not that."""
        try:
            hashes = json.loads(text)["missed"] if len(text) <= MAX_TEXT else None
        except (ValueError, LookupError, TypeError, RecursionError):
            return None
        if not isinstance(hashes, list) or not all(isinstance(each, str) and len(each) == _HASH for each in hashes):
            return None
        return cls(hashes)

    def _forget(self) -> None:
        for oldest in list(self._hashes)[: max(0, len(self._hashes) - MOST)]:
            del self._hashes[oldest]


def _hash(call_id: str) -> str:
    return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
