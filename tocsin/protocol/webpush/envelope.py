"""How an encrypted message travels from the service to its device: as it came, with the headers that its reader needs."""

from __future__ import annotations

from typing import NamedTuple

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.webpush.codings import AES128GCM


class Envelope(NamedTuple):
    """A message that only its device can read; ``coding`` is ``aes128gcm`` or ``aesgcm``, and empty for a push without a body.

    With ``aesgcm``, ``encryption`` and ``crypto_key`` are the headers of these names; else they are empty.
    """

    coding: str
    encryption: str
    crypto_key: str
    body: bytes

    def pack(self) -> bytes:
        """Return it as bytes: three lines, and the body."""
        return envelope_head(self.coding, self.encryption, self.crypto_key) + self.body

    @classmethod
    def unpack(cls, packed: bytes) -> Envelope:
        """Read what :meth:`pack` has made.

        :raises ProtocolViolation: it is no such thing.
        """
        if packed.startswith(_MODERN):  # nearly all are
            return cls(AES128GCM, "", "", packed[len(_MODERN) :])
        try:
            coding, encryption, crypto_key, body = packed.split(b"\n", 3)
            return cls(coding.decode("ascii"), encryption.decode("ascii"), crypto_key.decode("ascii"), body)
        except ValueError:
            raise ProtocolViolation("a push message is three lines of ASCII and a body") from None


def envelope_head(coding: str, encryption: str, crypto_key: str) -> bytes:
    """Return what stands before the body of every message with the same of these."""
    return f"{coding}\n{encryption}\n{crypto_key}\n".encode("ascii")


_MODERN = envelope_head(AES128GCM, "", "")

EMPTY = Envelope("", "", "", b"").pack()
"""A push without a body."""
