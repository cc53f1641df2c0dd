"""JSON from outside: what is read is bounded, says one thing only, and can be written again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.json_text import MAX_NESTING, parse_json_text

MOST = 1_000


@pytest.mark.parametrize(
    ("content", "document"),
    [
        ('{"a": [1, 2.5, "x", null, true]}', {"a": [1, 2.5, "x", None, True]}),
        (b'{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('"\\ud83d\\udd14 Gr\u00fc\u00dfe"', "🔔 Grüße"),
        ("[" * MAX_NESTING + "]" * MAX_NESTING, None),
        ("[" * MAX_NESTING + "1" + "]" * MAX_NESTING, None),
        ('{"a":' * MAX_NESTING + "1" + "}" * MAX_NESTING, None),
        (" " * (MOST - 1) + "1", 1),
    ],
)
def test_json_is_read_from_text_and_bytes(content: str | bytes, document: Any) -> None:
    """With or without a mark of UTF-8 before it, and as deep and as long as is allowed."""
    read = parse_json_text(content, "it", MOST)
    assert document is None or read == document


def test_numbers_can_be_had_as_they_are_written() -> None:
    """However many digits they have."""
    assert parse_json_text(f"[1.50, {'9' * 500}, 1e999]", "it", MOST, numbers_as_texts=True) == [
        "1.50",
        "9" * 500,
        "1e999",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "it is no JSON: Expecting value (line 1, column 1)"),
        ("{", "it is no JSON"),
        ("{} {}", "it is no JSON: Extra data"),
        ("{'a': 1}", "it is no JSON"),
        ('"\n"', "it is no JSON: Invalid control character"),
        (b"\xff\xfe{\x00}\x00", "it is no UTF-8 (at byte 0)"),
        (b'"\xed\xa0\x80"', "it is no UTF-8 (at byte 1)"),
        ('"\ud800"', "it is no UTF-8 (at byte 1)"),
        ('"\\ud800"', "it has half of a character"),
        ('{"\\udfff": 1}', "it has half of a character"),
        ('{"a": 1, "a": 2}', "it has 'a' twice in one object"),
        ('[{"b": {"a": 1, "c": 2, "a": 1}}]', "it has 'a' twice in one object"),
        ("NaN", "it has NaN, which JSON has not"),
        ("[-Infinity]", "it has -Infinity, which JSON has not"),
        ("[1e999]", "it has the number '1e999', which is too great"),
        ("[" * (MAX_NESTING + 1) + "]" * (MAX_NESTING + 1), "nested too deep, 64 at most"),
        ('{"a":' * (MAX_NESTING + 1) + "1" + "}" * (MAX_NESTING + 1), "nested too deep, 64 at most"),
        ("[" * MOST, "it is no JSON"),
        (" " * MOST + "1", "it has more than 1000 bytes"),
        ("ü" * (MOST // 2 + 1), "it has more than 1000 bytes"),
        (b" " * (MOST + 1), "it has more than 1000 bytes"),
        ("x" * 10_000_000, "it has more than 1000 bytes"),
    ],
)
def test_what_is_no_json_or_goes_beyond_the_bounds_is_refused_in_words(content: str | bytes, words: str) -> None:
    """The sentence says what is wrong, and where it can."""
    with pytest.raises(InvalidArgument) as caught:
        parse_json_text(content, "it", MOST)
    assert words in str(caught.value)


@pytest.mark.parametrize("content", ["[" * 60_000, "[" * 60_000 + "]" * 60_000, '{"a":' * 20_000])
def test_brackets_without_end_are_refused(content: str) -> None:
    """Whether Python's parser gives up at them or not."""
    with pytest.raises(InvalidArgument, match="it is no JSON"):
        parse_json_text(content, "it", 1_000_000)


def test_a_number_with_very_many_digits_is_refused() -> None:
    """Python would not write it again."""
    with pytest.raises(InvalidArgument, match="too many digits"):
        parse_json_text("9" * 5_000, "it", 10_000)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[]), max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=9,
)


@given(st.binary(max_size=60) | st.text(st.characters(exclude_categories=[]), max_size=60) | JSON.map(json.dumps))
def test_what_is_read_can_be_written_and_is_read_as_the_same(content: str | bytes) -> None:
    """Anything else is refused, and nothing else is ever raised."""
    try:
        document = parse_json_text(content, "it", MOST)
    except InvalidArgument:
        return
    written = json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    assert parse_json_text(written, "it", len(written)) == document
