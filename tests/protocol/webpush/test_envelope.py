"""How an encrypted message travels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.webpush.envelope import Envelope

LINES = st.text(st.characters(codec="ascii", exclude_characters="\n"), max_size=20)


@given(LINES, LINES, LINES, st.binary(max_size=40))
def test_what_was_packed_is_unpacked(coding: str, encryption: str, crypto_key: str, body: bytes) -> None:
    """Its body may have any bytes, line ends too."""
    envelope = Envelope(coding, encryption, crypto_key, body)
    assert Envelope.unpack(envelope.pack()) == envelope


@pytest.mark.parametrize("packed", [b"", b"aes128gcm", b"aes128gcm\n\n", b"\xff\n\n\nbody"])
def test_what_is_no_envelope_is_refused(packed: bytes) -> None:
    """Such as what another version has written."""
    with pytest.raises(ProtocolViolation, match="three lines of ASCII and a body"):
        Envelope.unpack(packed)
