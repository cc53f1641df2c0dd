"""The last that a peer of an HTTP connection is told: it finds it, in its place and in its time, and nothing is kept for it."""

from __future__ import annotations

import pytest

from tests.service.web.played_connection import PlayedConnection
from tests.service.web.test_http_connection import post
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.web.http_connection import MAX_REST

TOO_LONG = post(bytes(9), b"Connection: close\r\n", when=b"head")


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"H" * 33_000, TOO_LONG[:-5]], ids=["nonsense", "head", "body"])
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
async def test_a_last_answer_is_not_lost_to_what_still_comes(sent: bytes, is_secure: bool) -> None:
    """What a peer sends behind it is read past, so that no reset overtakes it: for as long and as far as is borne."""
    begun = [] if is_secure else ["eof"]
    for end in ("eof", "time", "flood", "leaving"):
        played = PlayedConnection(ServiceSettings(write_timeout=10), is_secure=is_secure)
        played.hear(sent, bytes(60_000))
        assert len(played.statuses) == 1
        assert played.transport.done == begun
        said = bytes(played.transport.said)
        match end:
            case "eof":
                played.half_close()
            case "time":
                played.clock.time = 10
                played.book.sweep()
            case "leaving":
                played.connection.shutdown()
            case _:
                played.hear(*[bytes(60_000)] * (MAX_REST // 60_000 + 1))
        assert played.transport.done == [*begun, "abort" if end in {"time", "flood"} else "close"]
        assert played.transport.said == said
        played.connection.connection_lost(None)
        assert (played.shared.busy, played.book.count) == (0, 0)


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
async def test_a_last_answer_to_a_request_that_came_whole_is_the_end(is_secure: bool) -> None:
    """Also where it was given at the head: a peer that reads to the end of the connection does not wait for it."""
    played = PlayedConnection(is_secure=is_secure)
    played.hear(post(lines=b"Connection: close\r\n", when=b"head"))
    assert played.statuses == [200]
    assert played.transport.done[-1] == "close"
    played.connection.connection_lost(None)


async def test_a_peer_that_was_slow_has_its_time_for_the_last_words_too() -> None:
    """That for a head is over with it."""
    played = PlayedConnection(ServiceSettings(head_timeout=10, write_timeout=10))
    played.clock.time = 9
    played.hear(b"nonsense\r\n\r\n")
    for played.clock.time in (10, 18):
        played.book.sweep()
        assert played.transport.done == ["eof"]
    played.clock.time = 19
    played.book.sweep()
    assert played.transport.done == ["eof", "abort"]
    played.connection.connection_lost(None)


async def test_the_last_words_behind_other_answers_are_not_lost_either() -> None:
    """Unless the peer has said that it sends nothing more: then there is nothing to read past."""
    for half_closed in (False, True):
        played = PlayedConnection()
        played.hear(post(when=b"later") + post() * 9)
        if half_closed:
            assert played.connection.eof_received()
        played.exchanges[0].answer()
        assert played.statuses == [200] * 9 + [400]
        assert played.transport.done == (["pause", "close"] if half_closed else ["pause", "eof", "resume"])
        played.connection.connection_lost(None)


@pytest.mark.parametrize("is_broken_off", [False, True])
@pytest.mark.parametrize("is_torn", [False, True], ids=["wrong", "torn"])
async def test_behind_the_last_answer_nothing_is_said(is_broken_off: bool, is_torn: bool) -> None:
    """Nor within one that is broken off, where a client would take it for a part of the body."""
    played = PlayedConnection()
    played.hear(post(when=b"later") + (post()[:-1] if is_torn else b"nonsense\r\n\r\n"))
    if is_torn:
        played.connection.eof_received()
    (exchange,) = played.exchanges
    exchange.request.keep_alive = False
    if is_broken_off:
        played.connection.write(exchange.request, b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nhalf")
        played.connection.answer(exchange.request, b"")
    else:
        exchange.answer()
    assert played.statuses == [200]
    assert played.transport.done[-1] == ("close" if is_torn else "eof")
    played.connection.connection_lost(None)


async def test_what_cannot_be_read_is_passed_over_for_so_far_only() -> None:
    """While an answer before it is awaited: then no more is read, and the answer finds its peer."""
    played = PlayedConnection()
    played.hear(post(when=b"later") + b"nonsense\r\n\r\n")
    played.hear(*[bytes(60_000)] * (MAX_REST // 60_000))
    assert played.transport.done == []
    played.hear(bytes(60_000), bytes(60_000))
    assert played.transport.done == ["pause"]
    played.exchanges[0].answer()
    assert played.statuses == [200, 400]
    assert played.transport.done == ["pause", "eof", "resume"]
    played.connection.connection_lost(None)


async def test_a_peer_that_is_not_read_is_read_past_behind_the_last_answer() -> None:
    """What kept it from being read is over."""
    played = PlayedConnection()
    played.hear(TOO_LONG.replace(b"head", b"later")[:-5])
    played.connection.hold_back(played.exchanges[0].request)
    played.exchanges[0].answer()
    assert played.transport.done == ["pause", "eof", "resume"]
    played.connection.connection_lost(None)


async def test_a_tls_connection_that_its_peer_has_closed_is_cut_off_in_time() -> None:
    """It is closed by asyncio then: the answer that is still to come does not close it again, or it could not be aborted any more."""
    played = PlayedConnection(ServiceSettings(write_timeout=10), is_secure=True)
    played.hear(post(when=b"later"))
    played.half_close()
    assert played.transport.done == ["close"]
    played.exchanges[0].answer()
    played.clock.time = 10
    played.book.sweep()
    assert played.transport.done == ["close", "abort"]
    played.connection.connection_lost(None)
