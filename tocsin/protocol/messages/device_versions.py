"""What earlier versions of the protocol between device and service do not have: so a service serves devices that are older than it."""

from __future__ import annotations

from typing import Final

from tocsin.protocol.messages import Payload
from tocsin.protocol.messages.codec import encode, pack, unpack_own

LABELS_SINCE: Final = 3
"""The version from which on a payload has a label."""


def without_label(payload: Payload) -> bytes:
    """Encode a payload for a device that knows no labels."""
    return pack(unpack_own(encode(payload))[:-1])
