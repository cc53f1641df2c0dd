"""What a handler reads of a payload."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tocsin
from tocsin.testing import received


@given(st.text(max_size=100))
def test_what_was_sent_as_text_is_read_as_text(text: str) -> None:
    """And what was sent as JSON is read as that."""
    assert received(text.encode()).text == text
    assert received(json.dumps({"said": text}).encode()).json() == {"said": text}


def read_both(args: tocsin.PushNotificationReceivedEventArgs) -> tuple[str, str]:
    """Return what is said where it is read as text and as JSON; nothing where it can be read so."""
    said = ["", ""]
    for place, read in enumerate((lambda: args.text, args.json)):
        try:
            read()
        except tocsin.UnreadableContent as wrong:
            said[place] = str(wrong)
    return said[0], said[1]


@given(st.binary(max_size=60))
def test_reading_returns_or_says_what_is_wrong(body: bytes) -> None:
    """No other error comes of it, whatever a sender has sent."""
    text, read = read_both(received(body))
    assert not text or "is no text: byte " in text
    assert not read or "is no " in read


@pytest.mark.parametrize(
    ("body", "text", "read"),
    [
        (b"", "", "the payload of 0 bytes of type toast is no JSON: it is empty"),
        (
            b"{",
            "",
            "of 1 bytes of type toast is no JSON: Expecting property name enclosed in double quotes in line 1, column 2",
        ),
        (b"hi\xff", "the payload of 3 bytes of type toast is no text: byte 3, 0xFF, is no UTF-8", "byte 3, 0xFF"),
        # From 3.13 on Python reads as deep as a payload can be.
        (
            b"[" * 5000,
            "",
            "is no JSON: " + ("it is nested too deeply" if sys.version_info < (3, 13) else "Expecting value"),
        ),
        (b"9" * 5000, "", "is no JSON: it has a number that is too long"),
    ],
)
def test_what_cannot_be_read_says_where(body: bytes, text: str, read: str) -> None:
    """And shows no more of it than the byte that is wrong: the sentence is kept with a payload whose handler has failed."""
    said = read_both(received(body, type="toast"))
    for words, wanted in zip(said, (text, read), strict=True):
        assert wanted in words
        assert bool(words) == bool(wanted)


async def test_an_app_knows_when_a_payload_was_received_and_expires(tmp_path: Path) -> None:
    """Also of one that has waited in the inbox while the app was not there; one without a time to live does not expire."""
    async with tocsin.embedded("contoso.mail", tmp_path) as manager, AsyncExitStack() as stack:
        assert manager.registration is not None
        channel = await manager.open_channel()
        ids = manager.registration.client_id, manager.registration.client_secret
        client = await stack.enter_async_context(tocsin.WnsClient(*ids))
        begun = datetime.now(UTC)
        await client.send(channel.uri, "first", ttl=3600)
        await client.send(channel.uri, "second")
        sent = datetime.now(UTC)
        found = [args async for args in first_of(channel, 2)]
        assert [args.text for args in found] == ["first", "second"]
        for args in found:
            assert args.received_at is not None
            assert begun <= args.received_at <= sent
            assert args.received_at.tzinfo is UTC
        (with_ttl, without) = found
        assert without.expires_at is None
        assert with_ttl.expires_at is not None
        assert begun <= with_ttl.expires_at - timedelta(seconds=3600) <= sent


async def first_of(
    channel: tocsin.PushNotificationChannel, count: int
) -> AsyncIterator[tocsin.PushNotificationReceivedEventArgs]:
    """Yield the first payloads of a channel."""
    async with aclosing(channel.payloads()) as payloads:
        async for args in payloads:
            args.handled = True
            yield args
            count -= 1
            if not count:
                return


def test_one_of_an_earlier_version_does_not_say_when_it_came() -> None:
    """It was not kept then; one that was made for a test has what the test says."""
    args = received(b"")
    assert args.received_at is not None
    args._delivery = (*args._delivery[:-1], None)
    assert args.received_at is None
    at, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    made = received(b"", received_at=at, expires_at=end)
    assert (made.received_at, made.expires_at) == (at, end)
    with pytest.raises(tocsin.InvalidArgument, match="when it expires must have a time zone, such as UTC"):
        received(b"", expires_at=end.replace(tzinfo=None))
