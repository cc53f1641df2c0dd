"""The keys of all push subscriptions of a device: each is derived from one secret, so that there is nothing to be kept of each."""

from __future__ import annotations

import secrets
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.webpush.envelope import Envelope
from tocsin.protocol.webpush.subscription import AUTH
from tocsin.webpush.message_encryption import SubscriptionKeys, Undecryptable, decrypt
from tocsin.webpush.points import SCALAR

SEED: Final = 32
"""Bytes of a device's secret."""

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many points P-256 has (FIPS 186-5)."""

_WIDE: Final = SCALAR + 16  # so many bytes that what remains of them is as good as any number
_KEPT: Final = 4_096  # subscriptions whose keys are in memory


def new_seed() -> bytes:
    """Make the secret of a device."""
    return secrets.token_bytes(SEED)


class DeviceSecrets:
    """Gives each push subscription of a device its keys, and opens what is for it.

    :param seed: the device's secret, ``SEED`` bytes, which leaves it never.
    """

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self.keys = lru_cache(_KEPT)(self._derive)
        """Returns the keys of the subscription of a channel, by the name of that."""

    def open(self, channel: str, packed: bytes) -> bytes | str:
        """Return the plaintext of a message to the subscription of a channel, or why it cannot be read."""
        try:
            return decrypt(self.keys(channel), Envelope.unpack(packed))
        except (Undecryptable, ProtocolViolation) as fault:
            return str(fault)

    def _derive(self, channel: str) -> SubscriptionKeys:
        info = b"tocsin push subscription\0" + channel.encode()
        derived = HKDF(SHA256(), _WIDE + AUTH, salt=None, info=info).derive(self._seed)
        number = int.from_bytes(derived[:_WIDE]) % (_ORDER - 1) + 1
        return SubscriptionKeys(number.to_bytes(SCALAR), derived[_WIDE:])
