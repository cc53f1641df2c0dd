"""The answers to handshakes of WebSockets, with the server of ``websockets`` as the measure."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

from tocsin.service.web.handshake import judge
from tocsin.service.web.headers import RawHeaders

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
_COMMON = [(b"date", b"Mon, 30 Nov 2026 03:00:00 GMT")]
_RIGHT = {
    "Host": ["x"],
    "Connection": ["Upgrade"],
    "Sec-WebSocket-Key": [_KEY],
    "Sec-WebSocket-Version": ["13"],
}
_BROWSER = "\n\nYou cannot access a WebSocket server directly with a browser. You need a WebSocket client."

Answer = tuple[int, list[tuple[str, str]], str]
"""Status, headers in one order with their names in lower case, and body."""

RIGHT = [
    {},
    {"Connection": ["keep-alive, Upgrade"]},
    {"Connection": ["keep-alive", "upgrade"]},
    {"Connection": [", UPGRADE\t,,"]},
    {"Origin": ["http://a.example"]},
    {"Sec-WebSocket-Protocol": ["chat, superchat", "soap"]},
    {"Sec-WebSocket-Extensions": ["permessage-deflate; client_max_window_bits", "(("]},
]
WRONG = [
    ({"Connection": []}, 426, f"missing Connection header.{_BROWSER}"),
    ({"Connection": ["close", "x,y"]}, 426, f"invalid Connection header: close, x, y.{_BROWSER}"),
    ({"Connection": [""]}, 400, "invalid Connection header: expected token at 0 in ."),
    ({"Connection": ["Upgrade", "a b"]}, 400, "invalid Connection header: expected comma at 2 in a b."),
    ({"Connection": ["\xe9"]}, 400, "invalid Connection header: expected token at 0 in \xe9."),
    ({"Sec-WebSocket-Key": []}, 400, "missing Sec-WebSocket-Key header."),
    ({"Sec-WebSocket-Key": [""]}, 400, "empty Sec-WebSocket-Key header."),
    ({"Sec-WebSocket-Key": [_KEY, _KEY]}, 400, "invalid Sec-WebSocket-Key header: multiple values."),
    ({"Sec-WebSocket-Key": ["dGhl"]}, 400, "invalid Sec-WebSocket-Key header: dGhl."),
    ({"Sec-WebSocket-Key": [_KEY[:-1]]}, 400, f"invalid Sec-WebSocket-Key header: {_KEY[:-1]}; Incorrect padding."),
    ({"Sec-WebSocket-Version": []}, 400, "missing Sec-WebSocket-Version header."),
    ({"Sec-WebSocket-Version": [""]}, 426, "empty Sec-WebSocket-Version header; this service knows 13."),
    ({"Sec-WebSocket-Version": ["13", "13"]}, 400, "invalid Sec-WebSocket-Version header: multiple values."),
    ({"Sec-WebSocket-Version": ["8"]}, 426, "invalid Sec-WebSocket-Version header: 8; this service knows 13."),
    ({"Origin": ["http://a.example"] * 2}, 400, "invalid Origin header: multiple values."),
    ({"Sec-WebSocket-Protocol": ["a", "b c"]}, 400, "invalid Sec-WebSocket-Protocol header: expected comma at 2 in b c."),
    ({"Connection": [], "Sec-WebSocket-Key": []}, 426, f"missing Connection header.{_BROWSER}"),
    ({"Sec-WebSocket-Key": [], "Sec-WebSocket-Version": []}, 400, "missing Sec-WebSocket-Key header."),
]  # fmt: skip

TEXT = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=30)


def values(right: list[str], *others: str) -> st.SearchStrategy[list[str]]:
    """Make the values of a header, in most handshakes the right ones."""
    odd = st.lists(st.sampled_from([*right, *others]) | TEXT, max_size=3)
    return st.integers(0, 3).flatmap(lambda number: odd if number == 0 else st.just(right))


HANDSHAKES = st.fixed_dictionaries(
    {
        "Connection": values(["Upgrade"], "keep-alive, upgrade", "upgrade ,x", ",,UPGRADE,,", "close", "a b", ""),
        "Sec-WebSocket-Key": values([_KEY], "A" * 24, "A" * 22 + "==", _KEY + " ", _KEY[:-1], _KEY + "=", "dGhl", ""),
        "Sec-WebSocket-Version": values(["13"], "8", "013", "13 ", "13, 8", ""),
        "Origin": values([], "http://a.example", "null", ""),
        "Sec-WebSocket-Protocol": values([], "chat", "chat, superchat", "chat superchat", ""),
        "Sec-WebSocket-Extensions": values([], "permessage-deflate; client_max_window_bits", "((", ""),
        "X-Forwarded-For": values([], "192.0.2.1"),
    }
)


def raw(said: dict[str, list[str]]) -> RawHeaders:
    """Return headers as the server reads them."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, values in said.items() for value in values]


def read(answer: bytes) -> Answer:
    """Take an answer apart, and see that it is as long as it says."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = sorted((name.lower(), value) for name, value in (line.split(": ", 1) for line in lines))
    assert dict(headers).get("content-length", "0") == str(len(body))
    return int(first.split()[1]), headers, body.decode()


def theirs(said: dict[str, list[str]]) -> Answer:
    """Return the answer of ``websockets``, at the time of ours; a peer of another version is told ours, as RFC 6455 §4.4 has it."""
    pairs = [(name, value) for name, values in said.items() for value in values]
    response = ServerProtocol().accept(Request("/device", Headers([*pairs, ("Upgrade", "websocket")])))
    del response.headers["Date"]
    response.headers["Date"] = _COMMON[0][1].decode()
    status, headers, body = read(response.serialize())
    if re.search(r": (invalid|empty) Sec-WebSocket-Version header(?!: multiple values\.)", body):
        body = body.removesuffix(".\n") + "; this service knows 13.\n"
        told = {"content-length": str(len(body.encode())), "upgrade": "websocket", "sec-websocket-version": "13"}
        status, headers = 426, sorted((dict(headers) | told).items())
    return status, headers, body


@pytest.mark.parametrize("said", RIGHT, ids=repr)
def test_a_right_handshake_opens_a_websocket(said: dict[str, list[str]]) -> None:
    """With the proof of RFC 6455 §1.3, whatever else is said of the connection; no extension and no subprotocol is taken."""
    is_right, answer = judge(raw(_RIGHT | said), _COMMON)
    assert is_right
    assert answer == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\ndate: Mon, 30 Nov 2026 03:00:00 GMT\r\n\r\n"
    )


@pytest.mark.parametrize(("said", "status", "words"), WRONG, ids=repr)
def test_a_wrong_handshake_is_told_what_is_wrong(said: dict[str, list[str]], status: int, words: str) -> None:
    """The first thing that is, in an answer behind which the connection ends."""
    is_right, answer = judge(raw(_RIGHT | said), _COMMON)
    body = f"Failed to open a WebSocket connection: {words}\n"
    known = [("sec-websocket-version", "13")] if "knows 13" in words else []
    offer = [("upgrade", "websocket")] if status == 426 else []
    assert not is_right
    assert read(answer) == (
        status,
        [
            ("connection", "close"),
            ("content-length", str(len(body.encode()))),
            ("content-type", "text/plain; charset=utf-8"),
            ("date", "Mon, 30 Nov 2026 03:00:00 GMT"),
            *known,
            *offer,
        ],
        body,
    )


@given(said=HANDSHAKES)
def test_handshakes_are_answered_as_by_websockets(said: dict[str, list[str]]) -> None:
    """With the same status, headers and words, whatever the peer says."""
    is_right, answer = judge(raw(said), _COMMON)
    assert read(answer) == theirs(said)
    assert is_right == answer.startswith(b"HTTP/1.1 101 ")
