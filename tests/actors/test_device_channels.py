"""The channels that are channels: found by name and by app, and due when their time comes."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tocsin.actors.device_channels import LOOK_EVERY, DeviceChannels
from tocsin.persistence.store import StoredChannel
from tocsin.protocol.platform.channel_request import renewal
from tocsin.protocol.values import RENEW_BEFORE, SUBSCRIPTION_LIFETIME


def channel(name: str, expires: float, app: str = "mail") -> StoredChannel:
    """Make a channel of an app."""
    return StoredChannel(name, app, "remote", f"http://push.test/{name}", expires)


def test_the_newest_channel_of_an_app_is_the_one_that_ends_last() -> None:
    """Channels of other apps do not count, nor do those that are gone."""
    channels = DeviceChannels(
        [channel("c1", 10.0), channel("c2", 30.0), channel("c3", 20.0), channel("c4", 99.0, "chat")]
    )
    assert channels.newest("mail", "remote") == channel("c2", 30.0)
    assert channels.discard("c2")
    assert not channels.discard("c2")
    assert channels.newest("mail", "remote") == channel("c3", 20.0)
    assert channels.newest("mail", "another remote") is None


def test_a_channel_is_renewed_before_it_ends() -> None:
    """It is said again until a newer one has its place, since it may not have been possible."""
    expires = 2 * RENEW_BEFORE
    channels = DeviceChannels([channel("c1", expires)])
    assert channels.next_moment() == renewal("remote", expires)
    assert channels.take_due(renewal("remote", expires) - 1) == channels.to_renew() == []
    assert channels.take_due(renewal("remote", expires)) == []
    assert channels.to_renew() == channels.to_renew() == [channel("c1", expires)]
    assert channels.next_moment() == expires
    channels.add(channel("c2", 2 * expires), renewal("remote", expires))
    assert channels.to_renew() == []
    assert channels.take_due(expires) == [channel("c1", expires)]
    assert list(channels.values()) == [channel("c2", 2 * expires)]


def test_a_channel_whose_newer_one_is_lost_is_to_be_renewed_again() -> None:
    """As its moment does not come twice."""
    expires = 2 * RENEW_BEFORE
    channels = DeviceChannels([channel("c1", expires)])
    channels.take_due(renewal("remote", expires))
    channels.add(channel("c2", 2 * expires), renewal("remote", expires))
    assert channels.to_renew() == []
    assert channels.discard("c2")
    assert channels.to_renew() == [channel("c1", expires)]
    assert channels.discard("c1")
    assert channels.to_renew() == []


def test_a_channel_that_has_ended_is_not_renewed() -> None:
    """Its app is told that it is gone, and asks."""
    channels = DeviceChannels([channel("c1", 2 * RENEW_BEFORE)])
    assert channels.take_due(3 * RENEW_BEFORE) == [channel("c1", 2 * RENEW_BEFORE)]
    assert channels.to_renew() == []
    assert channels.next_moment() is None


def test_a_channel_that_is_given_again_is_due_by_its_new_end() -> None:
    """Its old moments pass unheard, also where they have come already."""
    channels = DeviceChannels([channel("c1", 2 * RENEW_BEFORE)])
    assert channels.take_due(1.5 * RENEW_BEFORE) == []
    channels.add(channel("c1", 5 * RENEW_BEFORE), 0.0)
    assert channels.to_renew() == []
    assert channels.next_moment() == 4 * RENEW_BEFORE
    assert channels.take_due(2 * RENEW_BEFORE) == channels.to_renew() == []


def test_of_the_channels_of_an_app_only_the_newest_is_renewed() -> None:
    """The others end."""
    channels = DeviceChannels([channel("c1", 3.5 * RENEW_BEFORE), channel("c2", 4 * RENEW_BEFORE)])
    assert channels.take_due(2.6 * RENEW_BEFORE) == channels.to_renew() == []
    assert channels.take_due(3 * RENEW_BEFORE) == []
    assert channels.to_renew() == [channel("c2", 4 * RENEW_BEFORE)]


def test_it_is_looked_again_now_and_then() -> None:
    """At the next moment, but an hour later at most: alarms may stand still while the machine sleeps."""
    channels = DeviceChannels()
    assert channels.wait(0.0) == LOOK_EVERY
    channels.add(channel("c1", RENEW_BEFORE + 5000.0), 0.0)
    assert channels.wait(0.0) == LOOK_EVERY
    assert channels.wait(4900.0) == 100.0


def test_a_channel_that_lasts_less_than_a_day_is_not_renewed() -> None:
    """Its renewal would be over already, and so would that of the channel which came of it, for ever."""
    channels = DeviceChannels()
    channels.add(channel("c1", 1000.0), now=900.0)
    assert channels.next_moment() == 1000.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.booleans()), max_size=60))
def test_the_next_moment_is_the_earliest_of_those_held(changes: list[tuple[str, int, bool]]) -> None:
    """Whatever is added and forgotten, only what is channels has moments."""
    channels, known = DeviceChannels(), dict[str, StoredChannel]()
    for name, days, is_added in changes:
        if is_added:
            known[name] = channel(name, days * RENEW_BEFORE)
            channels.add(known[name], 0.0)
        else:
            assert (channels.discard(name) is None) == (known.pop(name, None) is None)
        assert {each.channel: each for each in channels.values()} == known
        moments = [moment for each in known.values() for moment in (renewal("remote", each.expires), each.expires)]
        ends = {each.expires for each in known.values()}
        assert channels.next_moment() == min((m for m in moments if m > 0 or m in ends), default=None)


def test_channels_that_come_and_go_leave_nothing_behind() -> None:
    """The moments of channels that are gone are thrown away before they come."""
    channels = DeviceChannels()
    for number in range(5_000):
        channels.add(channel(f"c{number}", 1e9 + number), 0.0)
        channels.discard(f"c{number}")
    assert len(channels._moments) < 2_000


def test_a_push_subscription_is_asked_for_again_at_half_of_its_time() -> None:
    """Its end is put off then, so that a machine which is off for months does not lose it."""
    subscription = StoredChannel("c1", "mail", "webpush:", "http://push.test/p/c1", float(SUBSCRIPTION_LIFETIME))
    channels = DeviceChannels([subscription])
    assert channels.next_moment() == SUBSCRIPTION_LIFETIME / 2
    assert channels.take_due(SUBSCRIPTION_LIFETIME / 2) == []
    assert channels.to_renew() == [subscription]
    channels.add(evolve(subscription, expires=1.5 * SUBSCRIPTION_LIFETIME), SUBSCRIPTION_LIFETIME / 2)
    assert channels.to_renew() == []
    assert channels.next_moment() == SUBSCRIPTION_LIFETIME
