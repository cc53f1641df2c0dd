"""Base64 with the alphabet of URLs (RFC 4648 §5), as Web Push writes keys, salts and tokens."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

_WRITTEN: Final = re.compile(r"[A-Za-z0-9_-]*={0,2}", re.ASCII)


def encode(data: bytes) -> str:
    """Write bytes, without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Read bytes, with padding or without.

    :raises ValueError: it has another character, such as those of the other alphabet, or a length that no bytes have.
    """
    if not _WRITTEN.fullmatch(text):
        raise ValueError("base64url has letters, digits, - and _ only")
    bare = text.rstrip("=")
    if len(bare) % 4 == 1:
        raise ValueError("base64url has no such length")
    return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
