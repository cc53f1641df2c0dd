"""Messages of Web Push on the device: what is opened, for whom, and what cannot be."""

from __future__ import annotations

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
