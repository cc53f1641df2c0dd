"""What goes from node to node."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tocsin.protocol.messages import Payload, codec
from tocsin.protocol.messages.node_protocol import Forward
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.toast_label import ToastLabel
from tocsin.protocol.values import NotificationType
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.forwarding import ForwardedPost, NotPushed, encode, meaning_of, read, word_of
from tocsin.service.registry.service_store import ChannelRow

times = st.floats(0, 1e10)


@st.composite
def posts(draw: st.DrawFn) -> ForwardedPost:
    """Notifications as a way in makes them."""
    label: ToastLabel = draw(strategies.toast_labels())
    ttl = draw(st.none() | st.integers(0, 10**6))
    kind, name, priority = (
        draw(st.sampled_from(NotificationType)),
        draw(strategies.channel_names()),
        draw(st.integers(1, 4)),
    )
    hash_ = draw(st.binary(min_size=32, max_size=32))
    channel = ChannelRow(hash_, name, "client", draw(strategies.app_names()), "d" * 64, draw(times), revoked=False)
    expires, sent = (draw(times), draw(times)) if ttl else (None, None)
    return ForwardedPost(
        draw(st.integers(0, 2**63)),
        draw(st.integers(0, 2**63)),
        channel,
        Payload(draw(st.uuids()).hex, name, kind, draw(strategies.bodies()), expires, priority, sent, label.text),
        Notification(
            *(kind, draw(st.booleans()), label.tag or None, label.group or None, ttl, priority), label.suppress_popup
        ),
    )


@given(posts(), st.integers(1, 2**60))
def test_what_is_forwarded_comes_back_whole(post: ForwardedPost, number: int) -> None:
    """Channel, payload and what its sender allows; also the longest fits into a frame."""
    forward = codec.decode(encode(number, post))
    assert isinstance(forward, Forward)
    assert forward.request == number
    assert read(forward) == post


WORDS = {
    *(
        "acknowledged",
        "offline",
        "lost",
        "timed_out",
        "busy",
        "suspended",
        "stored",
        "not_stored",
        "no_room",
        "held_back",
    ),
    *("cloud_disabled", "notifications_disabled", "type_disabled", "not_here", "unavailable"),
}
"""What nodes of any version have told. New words are added; none is changed."""


def test_a_word_means_what_it_always_meant() -> None:
    """A node that is upgraded later understands it in the same way."""
    results = [*PushResult, NotPushed.NOT_HERE, NotPushed.UNAVAILABLE]
    assert {word_of(each) for each in results} >= WORDS
    assert [meaning_of(word_of(each)) for each in results] == results


@pytest.mark.parametrize("result", [NotPushed.UNREACHABLE, NotPushed.UNANSWERED])
def test_what_only_the_one_that_forwards_can_know_is_told_as_unavailable(result: NotPushed) -> None:
    """A node that does not know what has become of a notification says so."""
    assert meaning_of(word_of(result)) is NotPushed.UNAVAILABLE


def test_a_word_of_a_later_version_is_no_news_of_the_notification() -> None:
    """It may have been handed over or not."""
    assert meaning_of("teleported") is NotPushed.UNANSWERED
