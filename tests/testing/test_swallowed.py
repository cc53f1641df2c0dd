"""What the real WNS takes, and Windows does nothing with."""

from __future__ import annotations

import pytest

from tocsin.testing.swallowed import swallowed

TOAST = b"<toast><visual><binding template='ToastGeneric'><text>Hello</text></binding></visual></toast>"
TILE = b"<tile><visual><binding template='TileMedium'><text>Hello</text></binding></visual></tile>"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("toast", TOAST),
        ("tile", TILE),
        ("badge", b"<badge value='100'/>"),
        ("badge", b"<badge value='newMessage'/>"),
        ("raw", b"<toast"),
        ("raw", b"\xff"),
    ],
)
def test_what_is_shown_is_not_warned_of(kind: str, body: bytes) -> None:
    """A raw body is the app's, whatever is in it."""
    assert swallowed("POST", {"x-wns-type": f"wns/{kind}"}, body) == ()


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("toast", b"Hello", "the body is no toast that Windows shows: it is no XML"),
        ("toast", b"", "it is empty"),
        ("toast", TILE, "toast"),
        ("toast", b"<toast/>", "toast"),
        ("tile", b"<tile/>", "the body is no tile that Windows shows"),
        ("badge", b"<badge value='-1'/>", "the value of a badge is a number or one of none, activity"),
        ("badge", b"<badge value='bell'/>", "not 'bell'"),
        ("badge", b"<badge/>", "the value of a badge"),
    ],
)
def test_what_is_not_shown_is(kind: str, body: bytes, words: str) -> None:
    """One sentence, with the reason."""
    (warning,) = swallowed("POST", {"x-wns-type": f"wns/{kind}"}, body)
    assert words in warning


def test_what_only_the_phone_had_is() -> None:
    """Each header and method is a sentence of its own."""
    headers = {"x-wns-type": "wns/toast", "x-wns-suppresspopup": "true"}
    assert len(swallowed("POST", headers, b"")) == 2
    assert "Windows Phone" in swallowed("POST", headers, TOAST)[0]
    assert swallowed("POST", headers | {"x-wns-suppresspopup": "false"}, TOAST) == ()
    assert "405" in swallowed("DELETE", {}, b"")[0]
