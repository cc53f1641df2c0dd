"""The properties of a message for templates: a flat object of texts, in bounds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.hub.hub_json import MAX_JSON
from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.template_properties import MAX_PROPERTIES, read_properties

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("body", "properties"),
    [
        (b"{}", {}),
        (b' {"title": "Hello", "Body": ""} ', {"title": "Hello", "Body": ""}),
        (b'{"n": 40, "f": 1.50, "e": -1e5, "big": 123456789012345678901234567890}', None),
        (b'{"t": true, "f": false, "z": null}', {"t": "true", "f": "false"}),
        (b'\xef\xbb\xbf{"a": "\xc3\xa9\\u00e9\\ud83d\\ude00"}', {"a": "éé😀"}),
    ],
)
def test_a_flat_object_is_read_as_texts(body: bytes, properties: dict[str, str] | None) -> None:
    """Numbers as they were written, and nothing for null."""
    written = {"n": "40", "f": "1.50", "e": "-1e5", "big": "123456789012345678901234567890"}
    assert read_properties(body) == (written if properties is None else properties)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "is no JSON"),
        (b"hello", "is no JSON"),
        (b"{'a': 1}", "is no JSON"),
        (b'{"a": 1} x', "is no JSON"),
        (b'{"a": Infinity}', "has Infinity, which JSON has not"),
        (b"[]", "is a JSON object of properties, such as"),
        (b'"a"', "is a JSON object of properties, such as"),
        (b"1", "is a JSON object of properties, such as"),
        (b"null", "is a JSON object of properties, such as"),
        (b'{"a": 1, "a": "2"}', "has 'a' twice in one object"),
        (b'{"a": {"b": 1}}', "The property 'a' is an object; a text, a number, true or false is expected"),
        (b'{"a": [1]}', "The property 'a' is an array"),
        (b'{"": 1}', "'' is no name of a property"),
        (b'{"' + b"a" * 121 + b'": 1}', "is no name of a property: 1 to 120"),
        (b'{"a": "\\ud800"}', "has half of a character"),
        (b'{"\\ud800": ""}', "has half of a character"),
        (b'{"a": "\xff"}', "is no UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "is no UTF-8"),
        (b'{"a":' + b"[" * 60_000, "is no JSON"),
        (b"[" * 30_000 + b"]" * 30_000, "brackets are nested too deep"),
    ],
)
def test_anything_else_is_refused_in_words(body: bytes, why: str) -> None:
    """The sentence says what is expected, and shows nothing that a terminal would obey."""
    with pytest.raises(HubRefused, match=why) as refused:
        read_properties(body)
    assert refused.value.status == 400
    assert refused.value.detail.isprintable()


def test_it_is_bounded() -> None:
    """In bytes and in properties."""
    with pytest.raises(HubRefused, match="has 65537 bytes; 65536 are read at most") as refused:
        read_properties(b" " * (MAX_JSON + 1))
    assert refused.value.status == 413
    most = {f"p{number}": "" for number in range(MAX_PROPERTIES)}
    assert read_properties(json.dumps(most).encode()) == most
    with pytest.raises(HubRefused, match="has 257 properties; 256 are allowed at most"):
        read_properties(json.dumps({**most, "another": ""}).encode())


@given(st.dictionaries(NAMES, st.text(st.characters(codec="utf-8"), max_size=20), max_size=8), st.booleans())
def test_what_a_client_writes_is_read(properties: dict[str, str], ascii_only: bool) -> None:
    """With escapes and without."""
    assert read_properties(json.dumps(properties, ensure_ascii=ascii_only).encode()) == properties


@given(
    st.binary(max_size=40)
    | st.text('{}[]":,ab1\\u \ud800', max_size=40).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_body_is_read_or_refused(body: bytes) -> None:
    """No other error comes of it."""
    try:
        properties = read_properties(body)
    except HubRefused as refused:
        assert refused.status == 400  # noqa: PT017  # both ends are right
    else:
        assert all(isinstance(value, str) for value in properties.values())
