"""Heads that were judged before: recalled only where the parser would have found the same."""

from __future__ import annotations

import pytest
from starlette.types import ASGIApp

from tocsin.service.senders.judged_heads import JudgedHead, judge
from tocsin.service.web.express import Post, Sender
from tocsin.service.web.heads import Heads

HEADERS = [
    (b"host", b"h"),
    (b"authorization", b"Bearer abc"),
    (b"x-wns-type", b"wns/raw"),
    (b"content-type", b"application/octet-stream"),
    (b"content-length", b"4"),
]


class NoSender(Sender):
    """A connection that nothing is said to."""

    client = None

    def answer(self, post: Post, headers: bytes) -> None:
        """Say nothing."""

    def hand_over(self, post: Post, app: ASGIApp) -> None:
        """Decline every post."""


def write(channel: str = "t1", body: bytes = b"body", more: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    """Write a post with these headers."""
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in (*HEADERS, *more))
    return b"POST /w/?token=" + channel.encode() + b" HTTP/1.1\r\n" + lines + b"\r\n" + body


def taken(channel: str = "t1", body: bytes = b"body", more: tuple[tuple[bytes, bytes], ...] = ()) -> Post:
    """Make what the parser and the lane make of it."""
    headers = [*HEADERS, *more]
    return Post(NoSender(), channel, headers, body, judge(headers))


def remembering(data: bytes, post: Post) -> Heads:
    """Make a memory of one post."""
    heads = Heads()
    heads.remember(data, post)
    return heads


def test_the_headers_of_an_earlier_post_are_known_again() -> None:
    """Another channel and another body of the same length are no hindrance; the head is the same object."""
    post = taken()
    assert remembering(write(), post).recall(write("t2", b"BODY")) == ("t2", post.head, b"BODY")


@pytest.mark.parametrize(
    "data",
    [
        write(body=b"bod"),
        write(body=b"body2"),
        write() + write(),
        write(more=((b"x", b"y"),)),
        write().replace(b"raw", b"RAW"),
        write().replace(b"POST", b"post"),
        write().replace(b"/w/", b"/x/"),
        write().replace(b"HTTP/1.1", b"HTTP/1.0"),
        write()[:-8],
        b"\r\n" + write(),
        write("t" * 300),
        b"",
    ],
    ids=["short", "long", "two", "more", "other", "method", "path", "version", "part", "before", "line", "nothing"],
)
def test_anything_else_is_for_the_parser(data: bytes) -> None:
    """A post that is not there whole, that has something behind it, or whose headers differ by a byte is not known."""
    assert remembering(write(), taken()).recall(data) is None


@pytest.mark.parametrize(
    ("data", "post"),
    [
        (write(), taken("t2")),
        (write(), taken(body=b"BODY")),
        (write() + write(), taken()),
        (write(more=((b"ms-cv", b"A" * 22 + b".0"),)), taken(more=((b"ms-cv", b"A" * 22 + b".0"),))),
        (write(more=((b"x", b"y" * 1_024),)), taken(more=((b"x", b"y" * 1_024),))),
    ],
    ids=["token", "body", "two", "vector", "large"],
)
def test_what_will_not_come_again_or_is_not_the_whole_chunk_is_not_remembered(data: bytes, post: Post) -> None:
    """Nor are headers with a correlation vector, which is another each time, or very long ones."""
    heads = Heads()
    assert not heads.remember(data, post)
    assert heads.recall(data) is None


def test_the_memory_is_bounded() -> None:
    """The head that was remembered first is forgotten first."""
    heads = Heads()
    for number in range(1_025):
        more = ((b"x", b"%d" % number),)
        heads.remember(write(more=more), taken(more=more))
    assert heads.recall(write(more=((b"x", b"0"),))) is None
    assert heads.recall(write(more=((b"x", b"1"),))) is not None
    assert heads.recall(write(more=((b"x", b"1024"),))) is not None


def test_headers_that_something_speaks_against_have_no_head() -> None:
    """A missing token and a wrong value are for the whole way to tell."""
    assert isinstance(judge(HEADERS), JudgedHead)
    assert judge(HEADERS[:1] + HEADERS[2:]) is None
    assert judge([*HEADERS, (b"x-wns-ttl", b"soon")]) is None
