"""A connection that speaks HTTP: the same whatever pieces its bytes come in, and each effect of its table performed."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.service.web.played_connection import PlayedConnection
from tocsin.protocol.kernel.machine import IllegalEvent
from tocsin.protocol.network.http_connection import TABLE, Effect
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.web import http_connection
from tocsin.service.web.bounded_websocket import BoundedWebSocket
from tocsin.service.web.http_connection import MAX_PIPELINED, MAX_REST, HttpConnection

H2C = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
HANDSHAKE = (
    b"GET /device HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def post(body: bytes = b"body", lines: bytes = b"", *, when: bytes = b"whole", target: bytes = b"/") -> bytes:
    """Write a request."""
    return (
        b"POST %b HTTP/1.1\r\nHost: x\r\nX-When: %b\r\n" % (target, when)
        + lines
        + b"Content-Length: %d\r\n\r\n" % len(body)
        + body
    )


def chunked(*parts: bytes, lines: bytes = b"", trailer: bytes = b"") -> bytes:
    """Write a request whose body comes in chunks."""
    written = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    head = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + lines + b"\r\n"
    return head + written + b"0\r\n" + trailer + b"\r\n"


RIGHT = st.builds(
    post,
    st.sampled_from([b"", b"body", b"\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: smuggled\r\n\r\n", bytes(300)]),
    st.sampled_from([b"", b"Expect: 100-continue\r\n", H2C, b"X: y\r\nX: z\r\n"]),
    when=st.sampled_from([b"head", b"whole", b"later"]),
    target=st.sampled_from([b"/", b"/a?b=c", b"/w/?token=x#f", b"http://x/y", b"*"]),
) | st.sampled_from(
    [
        chunked(b"one", b"two"),
        chunked(b"x", trailer=b"Host: y\r\nX-When: later\r\n"),
        chunked(b"offered", lines=H2C),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\nHEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
        HANDSHAKE.replace(b"/device", b"/elsewhere"),
    ]
)
WRONG = st.sampled_from(
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        post(lines=b"Connection: close\r\n"),
        post(lines=b"Transfer-Encoding: chunked\r\n"),
        post(lines=b"Transfer-Encoding: gzip\r\n").replace(b"Content-Length", b"Content-Lines"),
        post(lines=b"".join(b"H%d: x\r\n" % number for number in range(100))),
        post()[:-2],
        post()[:20],
        chunked(b"x").replace(b"1\r\nx", b"z\r\nx"),
        chunked(b"x").replace(b"chunked", b"gzip, chunked"),
    ]
)


def lived(chunks: list[bytes]) -> tuple[bytes, bool, list[tuple[str, bytes, bytes, list[tuple[bytes, bytes]]]]]:
    """Let a connection live: return what it said, whether it closed, and the requests that it found."""
    played = PlayedConnection()
    played.hear(*chunks)
    played.answer_later()
    played.connection.eof_received()
    played.answer_later()
    found = [(each.request.method, each.request.target, each.body, each.request.headers) for each in played.exchanges]
    closed = played.transport.is_closing()
    played.connection.connection_lost(None)
    assert played.shared.busy == 0
    assert played.book.count == 0
    return bytes(played.transport.said), closed, found


@given(
    requests=st.lists(RIGHT, max_size=MAX_PIPELINED), wrong=st.just(b"") | WRONG, cuts=st.lists(st.integers(1, 2_000))
)
@example([post(when=b"later"), post()], b"nonsense\r\n\r\n", [60])
@example([chunked(b"one"), post()], b"", list(range(1, 200)))
async def test_pieces_change_nothing(requests: list[bytes], wrong: bytes, cuts: list[int]) -> None:
    """Whatever comes, right or wrong, whole or torn: cut anywhere it is answered alike, and makes the same requests."""
    stream = b"".join(requests) + wrong
    places = sorted({cut for cut in cuts if cut < len(stream)})
    pieces = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]
    assert lived(pieces) == lived([each for each in (*requests, wrong) if each])


async def test_requests_are_answered_in_their_order() -> None:
    """One that could be answered at once waits for those before it, and is not begun before."""
    played = PlayedConnection()
    played.hear(post(b"1", when=b"later") + post(b"2") + post(b"3", when=b"head"))
    assert [exchange.body for exchange in played.exchanges] == [b"1"]
    assert played.transport.done == ["pause"]
    played.exchanges[0].answer()
    assert [exchange.body for exchange in played.exchanges] == [b"1", b"2", b""]
    assert played.statuses == [200] * 3
    assert played.transport.done == ["pause", "resume"]


async def test_what_is_answered_at_once_is_bounded_too() -> None:
    """One read is one turn of the loop, however many requests are in it; a sender that keeps to the bound may go on so."""
    played = PlayedConnection()
    for _ in range(3):
        played.hear(post() * (1 + MAX_PIPELINED))
    assert played.statuses == [200] * 3 * (1 + MAX_PIPELINED)
    for _ in range(2 * MAX_PIPELINED):  # each read is the end of a body and the next head
        played.hear(post()[:-1], b"y" + post()[:-1], b"y")
    before = len(played.statuses)
    played.hear(post() * 500)
    assert played.statuses[before:] == [200] * (1 + MAX_PIPELINED) + [400]
    assert played.transport.done == ["eof"]
    played.connection.connection_lost(None)


def _long(size: int, lines: bytes = b"") -> bytes:
    """Write a head of so many bytes."""
    begun = b"GET /device HTTP/1.1\r\nHost: x\r\n" + lines + b"X: "
    return begun + b"x" * (size - len(begun) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize(
    "lines", [b"", H2C, HANDSHAKE.partition(b"Host: x\r\n")[2][:-2]], ids=["usual", "h2c", "websocket"]
)
@pytest.mark.parametrize("before", [b"", post(), post() + post()[:-1]], ids=["first", "behind", "behind a body"])
@pytest.mark.parametrize("cut", [1, 100, 500, 1_999, 2_000])
async def test_a_head_that_is_too_long_is_refused_however_it_comes(lines: bytes, before: bytes, cut: int) -> None:
    """In one piece, in two, behind other requests or with an offer; one that is as long as it may be is not refused."""
    settings = ServiceSettings(max_head_bytes=2_000)
    rest = b"y" if before.endswith(b"bod") else b""
    for size in (1_900, 2_001):
        played = PlayedConnection(settings)
        head = _long(size, lines)
        if rest:
            played.hear(before)
        played.hear((rest or before) + head[:cut], *([head[cut:]] if cut < size else []))
        assert (431 in played.statuses) == (size > 2_000)
        assert 400 not in played.statuses
        if played.transport.protocol is None:
            played.connection.connection_lost(None)


async def test_a_long_body_is_no_long_head() -> None:
    """A head of the length that is allowed may come in one read with a body that is longer."""
    played = PlayedConnection(ServiceSettings(max_head_bytes=2_000))
    played.hear(_long(2_000) + post(bytes(9_000)), post(bytes(9_000)) + _long(2_000))
    assert played.statuses == [200] * 4
    played.hear(_long(2_001))
    assert played.statuses[-1] == 431
    played.connection.connection_lost(None)


async def test_when_the_server_leaves_the_last_answer_says_that_it_is() -> None:
    """Also that to a request which came since; what was sent ahead of an answer is answered."""
    played = PlayedConnection()
    played.hear(post(when=b"later") + post(b"2"))
    played.shared.keeps_none = True
    played.exchanges[0].answer()
    first, second = played.transport.said.split(b"HTTP/1.1 ")[1:]
    assert (b"connection: close" in first.lower(), b"connection: close" in second.lower()) == (False, True)
    assert played.transport.done[-1] == "close"
    late = PlayedConnection()
    late.hear(post())
    late.shared.keeps_none = True
    late.hear(post())
    assert late.transport.said.lower().count(b"connection: close") == 1
    assert late.transport.done == ["close"]
    for each in (played, late):
        each.connection.connection_lost(None)


async def test_what_is_answered_too_late_is_dropped() -> None:
    """An answer to a peer that has left, or that was told that it ends, is not written."""
    played = PlayedConnection()
    played.hear(post(when=b"later"))
    played.connection.connection_lost(None)
    played.exchanges[0].answer()
    assert played.exchanges[0].heard == ["complete", "dismissed"]
    assert not played.transport.said


async def test_a_peer_that_does_not_read_is_not_read() -> None:
    """Until it reads again, which the request that is answered is told."""
    played = PlayedConnection()
    played.hear(post(when=b"later"))
    played.connection.pause_writing()
    assert played.transport.done == ["pause"]
    played.connection.resume_writing()
    assert played.transport.done == ["pause", "resume"]
    assert played.exchanges[0].heard == ["complete", "flowing"]


def _expire(played: PlayedConnection) -> None:
    setattr(played.connection, "_idle_since", -1e9)  # noqa: B010  # its own
    cast(Callable[[], None], getattr(played.connection, "_look_if_idle"))()  # noqa: B009  # its own


@pytest.mark.parametrize(
    "end",
    [
        lambda played: played.hear(post(lines=b"Connection: close\r\n")),
        lambda played: played.connection.eof_received(),
        lambda played: played.connection.shutdown(),
        _expire,
    ],
    ids=["last answer", "half closed", "leaving", "idle"],
)
async def test_a_connection_that_ends_is_not_waited_for_without_end(end: Callable[[PlayedConnection], object]) -> None:
    """However it ends: a peer that does not read the last is cut off after the time that it has to read."""
    played = PlayedConnection(ServiceSettings(write_timeout=10))
    played.hear(post())
    end(played)
    assert played.transport.done == ["close"]
    played.clock.time = 9
    played.book.sweep()
    assert played.transport.done == ["close"]
    played.clock.time = 10
    played.book.sweep()
    assert played.transport.done == ["close", "abort"]
    played.connection.connection_lost(None)


@pytest.mark.parametrize("last", [post(), b"nonsense\r\n\r\n"], ids=["right", "wrong"])
async def test_a_peer_that_has_gone_is_told_nothing_more(last: bytes) -> None:
    """The first answer that cannot be sent ends the reading: asyncio would log each that came behind it."""
    played = PlayedConnection()
    played.transport.is_broken = True
    played.hear(post() * 3 + last)
    assert played.transport.done in (["abort"], ["abort", "eof"])
    assert len(played.exchanges) == 1
    played.connection.give_way()
    assert "late" not in played.transport.done
    played.connection.connection_lost(None)
    assert (played.shared.busy, played.book.count) == (0, 0)


async def test_a_part_of_an_answer_for_a_peer_that_has_gone_is_dropped() -> None:
    """Whatever answers may not know yet."""
    played = PlayedConnection()
    played.hear(post(when=b"later"))
    played.transport.is_broken = True
    for _ in range(3):
        played.connection.write(played.exchanges[0].request, b"part")
    assert played.transport.done == ["abort"]


async def test_a_body_that_is_awaited_is_told_of() -> None:
    """Once its head is there and its end is not; one that comes with its head is not awaited."""
    played = PlayedConnection()
    played.hear(post())
    played.hear(post()[:-1], post()[-1:])
    assert [exchange.heard for exchange in played.exchanges] == [["complete"], ["await body", "complete"]]


async def test_a_rest_that_trickles_keeps_a_connection_for_so_long_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece of a rest that is read past begins the time anew; a peer that stops in the midst is closed."""
    now = 100.0
    monkeypatch.setattr(http_connection, "monotonic", lambda: now)
    played = PlayedConnection(ServiceSettings(idle_timeout=5))
    played.hear(post(bytes(9), when=b"head")[:-9])
    look = cast(Callable[[], None], getattr(played.connection, "_look_if_idle"))  # noqa: B009  # its own
    now = 104.0
    played.hear(b"x")
    now = 108.0
    look()
    assert not played.transport.is_closing()
    now = 109.0
    look()
    assert played.transport.done == ["close"]
    played.connection.connection_lost(None)


async def _life() -> list[object]:
    """Let connections live in which each effect of the table has its part; return what was seen of them."""
    seen: list[object] = []
    try:
        _live(seen)
    except (AssertionError, AttributeError, IndexError, IllegalEvent) as failure:  # not without an effect
        seen.append(type(failure))
    return seen


def _live(seen: list[object]) -> None:
    def note(played: PlayedConnection) -> None:
        book = played.book
        waits = [list(getattr(book, name)) == [played.connection] for name in ("_silent", "_stalled")]
        heard = [list(exchange.heard) for exchange in played.exchanges]
        seen.append((bytes(played.transport.said), list(played.transport.done), waits, heard, played.shared.busy))

    one = PlayedConnection()
    for chunk in (post()[:9], post()[9:-1], b"y", post()[:5]):  # heard, and watched again
        one.hear(chunk)
        note(one)
    seen.append(getattr(one.connection, "_timer") is not None)  # noqa: B009  # its own
    one.connection.shutdown()
    note(one)
    ahead = PlayedConnection()
    ahead.hear(post(when=b"later") + post(b"2", when=b"later") + post()[:-1])
    note(ahead)
    ahead.exchanges[0].answer()
    ahead.connection.eof_received()  # the last body is torn
    note(ahead)
    ahead.exchanges[1].answer()
    note(ahead)
    leaving, torn = PlayedConnection(), PlayedConnection()
    leaving.hear(post(when=b"later"))
    leaving.connection.shutdown()
    leaving.exchanges[0].answer()
    note(leaving)
    torn.hear(post(when=b"later")[:-1])
    torn.connection.eof_received()
    note(torn)
    for when in (b"later", b"head"):  # a flood, before and behind the answer
        flooded = PlayedConnection()
        flooded.hear(post(bytes(9), when=when).replace(b"Length: 9", b"Length: 9999999"))
        for _ in range(MAX_REST // 60_000 + 1):
            flooded.hear(bytes(60_000))
        note(flooded)
    wrong, hushed = PlayedConnection(), PlayedConnection()
    wrong.hear(b"nonsense\r\n\r\n")
    note(wrong)
    hushed.hear(post(when=b"later") + b"nonsense\r\n\r\n")
    hushed.exchanges[0].request.keep_alive = False
    hushed.exchanges[0].answer()
    note(hushed)
    for played in (one, ahead, leaving, torn, wrong, hushed):
        played.connection.connection_lost(None)
    offered = PlayedConnection()
    offered.hear(HANDSHAKE)
    seen.append(isinstance(offered.transport.protocol, BoundedWebSocket))


async def test_an_effect_that_is_erased_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No effect is in the table in vain, and two lives that are alike are seen alike."""
    whole = await _life()
    assert await _life() == whole
    steps = http_connection._STEPS
    for erased in Effect:
        act = getattr(HttpConnection, f"_{erased.name.lower()}")
        assert {pair for pair, (_, effects) in TABLE.items() if erased in effects} == {
            pair for pair, (_, acts) in steps.items() if act in acts
        }
        with monkeypatch.context() as patch:
            others = {
                pair: (after, tuple(each for each in acts if each is not act)) for pair, (after, acts) in steps.items()
            }
            patch.setattr(http_connection, "_STEPS", others)
            assert await _life() != whole, erased
