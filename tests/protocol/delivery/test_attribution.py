"""On whose account payloads go: every byte of a batch once, each app with its own bodies."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import bodies, channel_names
from tocsin.protocol.delivery.attribution import attribute
from tocsin.protocol.messages import Acknowledge, Arrivals, Payload
from tocsin.protocol.messages.codec import decode_chunk, encode
from tocsin.protocol.platform.usage import PLATFORM
from tocsin.protocol.values import NotificationType

APPS = {"c1": "mail", "c2": "chat", "c3": "mail"}


def payload(number: int, channel: str, body: bytes) -> Payload:
    """Make one, whose id is as long as those of a service."""
    return Payload(f"{number:016X}", channel, NotificationType.RAW, body, None, 3)


def shares(payloads: list[Payload]) -> dict[str, tuple[int, int]]:
    """Attribute them as they come over the wire."""
    ((batch, frame),) = decode_chunk(b"".join(map(encode, payloads)))
    assert isinstance(batch, Arrivals)
    found = attribute(batch, len(frame), APPS)
    assert len(found) == len({app for app, _, _ in found})
    return {app: (sent, received) for app, sent, received in found}


@pytest.mark.parametrize("count", [1, 2, 15, 16, 200])
@pytest.mark.parametrize("channels", [("c1",), ("c1", "c3")])
def test_a_batch_for_one_app_counts_to_the_byte(channels: tuple[str, ...], count: int) -> None:
    """As the frames in which its payloads came, and as an acknowledgement of all of them, give or take its head."""
    payloads = [payload(n, channels[n % len(channels)], bytes(n)) for n in range(count)]
    sent, received = shares(payloads)["mail"]
    assert received == sum(len(encode(each)) for each in payloads)
    acknowledgement = len(encode(Acknowledge(tuple(each.id for each in payloads))))
    assert abs(sent - acknowledgement) <= count + 5


@given(st.lists(st.tuples(channel_names(), bodies()), min_size=1, max_size=20))
def test_a_batch_for_several_apps_is_shared(contents: list[tuple[str, bytes]]) -> None:
    """No byte is lost or counted twice, but for rounding; what is for no channel of the device is the platform's."""
    payloads = [payload(number, *each) for number, each in enumerate(contents)]
    found = shares(payloads)
    assert found.keys() == {APPS.get(channel, PLATFORM) for channel, _ in contents}
    whole = sum(len(encode(each)) for each in payloads)
    assert abs(sum(received for _, received in found.values()) - whole) <= len(found)
    own = Counter[str]()
    for channel, body in contents:
        own[APPS.get(channel, PLATFORM)] += len(body)
    assert all(received > own[app] for app, (_, received) in found.items())


def test_a_large_body_is_on_the_account_of_its_own_app() -> None:
    """Another app of the same batch does not pay for it."""
    found = shares([payload(1, "c1", bytes(5_000)), payload(2, "c2", b"")])
    assert found["mail"][1] > 5_000
    assert found["chat"][1] < 100


def test_an_empty_batch_is_nothing() -> None:
    """Also where its columns are there."""
    batch = Arrivals((), (), (), (), (), (), (), ())
    assert attribute(batch, len(encode(batch)), APPS) == []
