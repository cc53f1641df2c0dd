"""The channels that are held: found by name and by app, and due when their time comes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.actors.held_channels import HeldChannels
from tocsin.persistence.store import StoredChannel
from tocsin.protocol.channel_request import RENEW_BEFORE, renewal


def channel(name: str, expires: float, app: str = "mail") -> StoredChannel:
    """Make a channel of an app."""
    return StoredChannel(name, app, "remote", f"http://push.test/{name}", expires)


def test_the_newest_channel_of_an_app_is_the_one_that_ends_last() -> None:
    """Channels of other apps do not count, nor do those that are gone."""
    held = HeldChannels([channel("c1", 10.0), channel("c2", 30.0), channel("c3", 20.0), channel("c4", 99.0, "chat")])
    assert held.newest("mail", "remote") == channel("c2", 30.0)
    assert held.discard("c2")
    assert not held.discard("c2")
    assert held.newest("mail", "remote") == channel("c3", 20.0)
    assert held.newest("mail", "another remote") is None


def test_a_channel_is_due_once_for_its_renewal_and_once_for_its_end() -> None:
    """In between nothing is to be done."""
    expires = 2 * RENEW_BEFORE
    held = HeldChannels([channel("c1", expires)])
    assert held.next_moment() == renewal(expires)
    assert held.take_due(renewal(expires) - 1) == []
    assert held.take_due(renewal(expires)) == [channel("c1", expires)]
    assert held.take_due(expires - 1) == []
    assert held.next_moment() == expires
    assert held.take_due(expires) == [channel("c1", expires)]
    assert held.next_moment() is None


def test_a_channel_that_is_given_again_is_due_by_its_new_end() -> None:
    """Its old moments pass unheard."""
    held = HeldChannels([channel("c1", 2 * RENEW_BEFORE)])
    held.add(channel("c1", 5 * RENEW_BEFORE), 0.0)
    assert held.next_moment() == 4 * RENEW_BEFORE
    assert held.take_due(2 * RENEW_BEFORE) == []


def test_a_channel_that_lasts_less_than_a_day_is_not_renewed() -> None:
    """Its renewal would be over already, and so would that of the channel which came of it, for ever."""
    held = HeldChannels()
    held.add(channel("c1", 1000.0), now=900.0)
    assert held.next_moment() == 1000.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.booleans()), max_size=60))
def test_the_next_moment_is_the_earliest_of_those_held(changes: list[tuple[str, int, bool]]) -> None:
    """Whatever is added and forgotten, only what is held has moments."""
    held, known = HeldChannels(), dict[str, StoredChannel]()
    for name, days, is_added in changes:
        if is_added:
            known[name] = channel(name, days * RENEW_BEFORE)
            held.add(known[name], 0.0)
        else:
            assert held.discard(name) == (known.pop(name, None) is not None)
        assert {each.channel: each for each in held.values()} == known
        moments = [moment for each in known.values() for moment in (renewal(each.expires), each.expires)]
        ends = {each.expires for each in known.values()}
        assert held.next_moment() == min((m for m in moments if m > 0 or m in ends), default=None)


def test_channels_that_come_and_go_leave_nothing_behind() -> None:
    """The moments of channels that are gone are thrown away before they come."""
    held = HeldChannels()
    for number in range(5_000):
        held.add(channel(f"c{number}", 1e9 + number), 0.0)
        held.discard(f"c{number}")
    assert len(held._moments) < 2_000
