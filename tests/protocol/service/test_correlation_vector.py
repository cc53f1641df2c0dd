"""The correlation vector: extended, begun, and never too long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.service import wns

BASE = "PmvzQKgYek6Sdk/T5sWaqw"


@pytest.mark.parametrize(
    ("given_vector", "answer"),
    [
        (f"{BASE}.0", f"{BASE}.0.0"),
        (f"{BASE}.1.22.3", f"{BASE}.1.22.3.0"),
        (f"{BASE}.1!", f"{BASE}.1!"),
        (f"{BASE}{'.1' * 51}", f"{BASE}{'.1' * 51}.0"),
        (f"{BASE}.11{'.1' * 51}", f"{BASE}.11{'.1' * 51}!"),
        (None, "AAAAAAAAAAAAAAAAAAAAAA.0"),
        ("", "AAAAAAAAAAAAAAAAAAAAAA.0"),
        (BASE, "AAAAAAAAAAAAAAAAAAAAAA.0"),
        (f"{BASE[:-1]}B.0", "AAAAAAAAAAAAAAAAAAAAAA.0"),
        (f"{BASE}.1\r\nX: y", "AAAAAAAAAAAAAAAAAAAAAA.0"),
        (f"{BASE}{'.1' * 60}", "AAAAAAAAAAAAAAAAAAAAAA.0"),
    ],
)
def test_a_correlation_vector_is_extended_or_begun(given_vector: str | None, answer: str) -> None:
    """A valid vector is extended, frozen where it would grow too long; anything else is replaced by a new one."""
    assert wns.correlation_vector(given_vector, bytes(16)) == answer


def test_a_new_correlation_vector_is_valid() -> None:
    """What we begin with is what we would accept, whether one or many are begun, of which no two are alike."""
    many = wns.new_vectors(bytes(range(3 * wns.VECTOR_BYTES)))
    assert len(set(many)) == len(many) == 3
    for begun in (*(each.decode() for each in many), wns.correlation_vector(None, bytes(range(16)))):
        assert wns.correlation_vector(begun, bytes(16)) == f"{begun}.0"


@given(
    st.one_of(
        st.none(),
        st.binary(max_size=200).map(lambda value: value.decode("latin-1")),
        st.from_regex(r"[A-Za-z0-9+/]{21}[AQgw](\.[0-9]{1,10}){1,12}!?"),
    ),
    st.binary(min_size=16, max_size=16),
)
def test_a_correlation_vector_never_grows_too_long(vector: str | None, entropy: bytes) -> None:
    """The answer's vector has at most 128 bytes, all of them fit for a header."""
    answer = wns.correlation_vector(vector, entropy)
    assert len(answer) <= 128
    assert answer.isascii()
    assert answer.isprintable()
