"""How an encrypted message travels from the service to its device: as it came, with the headers that its reader needs."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.errors import ProtocolViolation


@frozen
class Envelope:
    """A message that only its device can read; ``coding`` is ``aes128gcm`` or ``aesgcm``, and empty for a push without a body.

    With ``aesgcm``, ``encryption`` and ``crypto_key`` are the headers of these names; else they are empty.
    """

    coding: str
    encryption: str
    crypto_key: str
    body: bytes

    def pack(self) -> bytes:
        """Return it as bytes: three lines, and the body."""
        return f"{self.coding}\n{self.encryption}\n{self.crypto_key}\n".encode("ascii") + self.body

    @classmethod
    def unpack(cls, packed: bytes) -> Envelope:
        """Read what :meth:`pack` has made.

        :raises ProtocolViolation: it is no such thing.
        """
        parts = packed.split(b"\n", 3)
        try:
            coding, encryption, crypto_key = (part.decode("ascii") for part in parts[:3])
            return cls(coding, encryption, crypto_key, parts[3])
        except (ValueError, IndexError):
            raise ProtocolViolation("a push message is three lines of ASCII and a body") from None


EMPTY = Envelope("", "", "", b"").pack()
"""A push without a body."""
