"""Text in PostgreSQL: every text comes back as it was, and texts keep their order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.persistence.postgres_text import from_kept, to_kept

ODD = st.text(st.sampled_from("\0\1\2ab"), max_size=6)


@given(st.lists(ODD | st.text(max_size=3)))
def test_what_is_kept_has_no_nul_and_comes_back(texts: list[str]) -> None:
    """One by one, and as an array."""
    kept = [to_kept(text) for text in texts]
    assert to_kept(texts) == kept
    assert not any("\0" in text for text in kept)
    assert list(from_kept(kept)) == texts
    assert from_kept([kept]) == (texts,)


@given(ODD, ODD)
def test_order_stays(first: str, second: str) -> None:
    """So the database may compare what it keeps."""
    assert (to_kept(first) < to_kept(second)) == (first < second)


@given(st.text(st.characters(min_codepoint=2, codec="utf-8")))
def test_a_text_without_nul_is_kept_as_it_is(text: str) -> None:
    """It can be read in the database."""
    assert to_kept(text) == text


def test_what_is_no_text_is_left_alone() -> None:
    """Bytes may have what they will."""
    row: tuple[object, ...] = (b"\0\1", 1, 2.5, None, True, [b"\0"], [])
    assert tuple(map(to_kept, row)) == from_kept(row) == row
