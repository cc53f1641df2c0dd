"""Messages of Web Push on the device: what is opened, for whom, and what cannot be."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import given
from hypothesis import strategies as st

from tocsin.actors.push_messages import PushMessages
from tocsin.protocol.messages import Arrivals
from tocsin.protocol.toast_label import LabelText
from tocsin.protocol.values import NotificationType
from tocsin.protocol.webpush.envelope import EMPTY
from tocsin.protocol.webpush.vapid import POINT
from tocsin.webpush.message_encryption import encrypt

RAW, PUSH = NotificationType.RAW, NotificationType.PUSH
APPS = {"c1": "contoso.mail", "c2": "unifiedpush:org.example.App:1", "c3": "contoso.chat"}


def arrivals(*payloads: tuple[str, NotificationType, bytes]) -> Arrivals:
    """Make a batch of payloads, each of a channel, with a topic each."""
    columns = zip(*payloads, strict=True)
    channels, types, bodies = (tuple(column) for column in columns)
    count = len(payloads)
    ids = tuple(str(number) for number in range(count))
    nothing, topics = (None,) * count, (LabelText("t"),) * count
    return Arrivals(ids, channels, types, bodies, nothing, (2,) * count, nothing, topics)


def sealed(messages: PushMessages, channel: str, plaintext: bytes) -> bytes:
    """Encrypt as a sender does."""
    keys = messages.public(channel)
    return encrypt(keys[:POINT], keys[POINT:], plaintext).pack()


def test_only_messages_are_opened_and_only_for_apps_that_do_not_open_them_themselves() -> None:
    """A registration of UnifiedPush gets the envelope, other payloads stay as they are, and what is for no channel too."""
    messages = PushMessages()
    assert messages.begin() is not None
    body = sealed(messages, "c1", b"hello")
    came = arrivals(
        ("c1", PUSH, body), ("c1", RAW, b"raw"), ("c2", PUSH, body), ("c1", PUSH, EMPTY), ("gone", PUSH, body)
    )
    opened, unreadable = messages.open(came, APPS)
    assert unreadable == {}
    assert opened.types == (RAW, RAW, RAW, RAW, PUSH)
    assert opened.bodies == (b"hello", b"raw", body, b"", body)
    assert opened.labels == ("", "t", "", "", "")


def test_each_subscription_has_keys_of_its_own_which_a_restart_does_not_change() -> None:
    """What is for one cannot be read by another, and stays what it was."""
    messages, again = PushMessages(), PushMessages()
    seed = messages.begin()
    again.recall(seed)
    assert again.public("c1") == messages.public("c1") != messages.public("c3")
    came = arrivals(("c3", PUSH, sealed(messages, "c1", b"x")), ("c3", PUSH, b"no envelope"))
    opened, unreadable = again.open(came, APPS)
    assert (opened.types, set(unreadable)) == ((PUSH, PUSH), {"0", "1"})


def test_a_secret_is_to_be_kept_until_the_store_has_shown_it() -> None:
    """What was to be written with the first subscription may have failed, and the actor that asked for it began anew."""
    messages = PushMessages()
    seed = messages.begin()
    messages.recall(None)
    assert messages.begin() == seed
    messages.recall(seed)
    assert messages.begin() is None


def test_without_its_secret_a_device_says_so() -> None:
    """Its state was lost, and the service sends on: each is a dead letter, none ends the device."""
    before, after = PushMessages(), PushMessages()
    before.begin()
    after.recall(None)
    opened, unreadable = after.open(arrivals(("c1", PUSH, sealed(before, "c1", b"x"))), APPS)
    assert (opened.types, "no secret" in unreadable["0"]) == ((PUSH,), True)
    assert after.public("c1") == b""


SECRETS = PushMessages()
SECRETS.begin()
OURS = [
    encrypt(SECRETS.public("c1")[:POINT], SECRETS.public("c1")[POINT:], text, coding)
    for coding in ("aes128gcm", "aesgcm")
    for text in (b"", b"hello", b"x" * 3_993)
]
SIZES = st.sampled_from([0, 1, 17, 18, 19, 25, 4_096, 4_097, 2**32 - 1])
HEADERS = st.text(st.sampled_from('sathdk=rei"0;, A'), max_size=40) | st.sampled_from([
    *(each.encryption for each in OURS), *(each.crypto_key for each in OURS), "salt=AA", "dh=AA", "salt=" + "A" * 22
])  # fmt: skip


@contextmanager
def doubts() -> Iterator[list[str]]:
    """Gather what is said of messages that cannot be read."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tocsin.actors.push_messages")
    logger.addHandler(handler)
    try:
        yield said
    finally:
        logger.removeHandler(handler)


@st.composite
def envelopes(draw: st.DrawFn) -> bytes:
    """Draw a message that was changed on its way, or was made by one who wishes us ill."""
    good = draw(st.sampled_from(OURS))
    body = bytearray(good.body)
    match draw(st.sampled_from(["cut", "size", "key", "flip", "more", "headers", "other"])):
        case "cut":
            del body[draw(st.integers(0, len(body))) :]
        case "size":
            body[16:20] = draw(SIZES).to_bytes(4)
        case "key":
            body[20:86] = draw(st.integers(0, 255)).to_bytes(1) + draw(st.binary(min_size=65, max_size=65))
        case "flip":
            body[draw(st.integers(0, len(body) - 1))] ^= draw(st.integers(1, 255))
        case "more":
            body += draw(st.binary(min_size=1, max_size=40))
        case "headers":
            other = draw(HEADERS.map(lambda each: each.replace("rs", f"rs={draw(SIZES)};")))
            good = good._replace(encryption=draw(HEADERS), crypto_key=other)
        case _:
            return draw(st.binary(max_size=200))
    return good._replace(body=bytes(body)).pack()


@given(st.lists(envelopes(), min_size=1, max_size=3))
def test_whatever_a_message_is_it_is_opened_or_a_dead_letter(packed: list[bytes]) -> None:
    """No message raises, and none is opened that is not to the byte what was encrypted; what comes with it is opened."""
    with doubts() as said:
        came = arrivals(*(("c1", PUSH, each) for each in packed), ("c1", PUSH, OURS[1].pack()))
        opened, unreadable = SECRETS.open(came, APPS)
    assert (opened.types[-1], opened.bodies[-1]) == (RAW, b"hello")
    for number, kind in enumerate(opened.types[:-1]):
        assert (kind is RAW) == (str(number) not in unreadable)
        assert kind is PUSH or opened.bodies[number] in {b"", b"hello", b"x" * 3_993}
    assert all(unreadable.values())
    assert len(said) <= 1
