"""Keys, salts and tokens as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.webpush import base64url


@given(st.binary(max_size=70))
def test_bytes_are_read_as_they_were_written_with_padding_and_without(data: bytes) -> None:
    """Browsers pad what senders do not."""
    text = base64url.encode(data)
    assert "=" not in text
    assert base64url.decode(text) == base64url.decode(text + "=" * (-len(text) % 4)) == data


@pytest.mark.parametrize("text", ["A", "AAAAA", "+w", "/w", "A A", "AA\n", "AA===", "=A", "A=A", "ä", "AAA\u0661"])
def test_what_is_no_base64url_is_refused(text: str) -> None:
    """The other alphabet, blanks and lengths that no bytes have are not guessed at."""
    with pytest.raises(ValueError, match="base64url has"):
        base64url.decode(text)


@given(st.text())
def test_nothing_else_is_raised(text: str) -> None:
    """Any text is bytes or a ValueError."""
    try:
        base64url.decode(text)
    except ValueError:
        pass
    else:
        assert text.isascii()
