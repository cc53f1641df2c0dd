"""What is told of a minute: all of it, in bounded memory, and nothing of one in which nothing happened."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.service import tally as module
from tocsin.protocol.service.tally import INTERVAL, NAMED, REMEMBERED, Asked, Asker, Minute, MinuteTally, Refusals

HERE, THERE = "203.0.113.7", "198.51.100.2"


def test_a_quiet_minute_is_passed_over() -> None:
    """Nothing is told of it, and the next one begins at its end."""
    tally = MinuteTally(10.0)
    assert tally.take(70.0) is None
    tally.device_came()
    assert tally.take(130.0) == Minute(60.0, 1, 0, ())
    assert tally.take(190.0) is None


def test_it_is_told_once_a_minute() -> None:
    """From the last time on, whether there was something to tell or not; what is late is told at once."""
    tally = MinuteTally(10.0)
    assert tally.wait(10.0) == INTERVAL
    assert tally.wait(65.0) == 5.0
    assert tally.wait(75.0) == 0.0
    tally.take(75.0)
    assert tally.wait(75.0) == INTERVAL


def test_devices_are_counted() -> None:
    """Each that came and each that went, also where they are the same."""
    tally = MinuteTally(0.0)
    for _ in range(3):
        tally.device_came()
        tally.device_went()
    assert tally.take(1.0) == Minute(1.0, 3, 3, ())


def test_refusals_are_counted_by_what_was_asked_and_why() -> None:
    """The most frequent first; of each those to whom it was said most often."""
    tally = MinuteTally(0.0)
    for _ in range(2):
        tally.refuse(Asked.TOKEN, "invalid_client", "a", HERE)
    tally.refuse(Asked.NOTIFICATION, "token_expired", "a", HERE)
    for _ in range(2):
        tally.refuse(Asked.NOTIFICATION, "token_expired", "", THERE)
    minute = tally.take(60.0)
    assert minute is not None
    assert minute.refusals == (
        Refusals(Asked.NOTIFICATION, "token_expired", 3, ((Asker("", THERE), 2), (Asker("a", HERE), 1)), 0),
        Refusals(Asked.TOKEN, "invalid_client", 2, ((Asker("a", HERE), 2),), 0),
    )


def test_the_others_are_counted() -> None:
    """Those who are not named are in the sum."""
    tally = MinuteTally(0.0)
    for number in range(NAMED + 3):
        tally.refuse(Asked.HUB, "http_401", "", f"10.0.0.{number}")
    minute = tally.take(60.0)
    assert minute is not None
    (refusals,) = minute.refusals
    assert (refusals.count, len(refusals.named), refusals.others) == (NAMED + 3, NAMED, 3)


def test_a_flood_from_many_addresses_hides_none_from_which_much_comes() -> None:
    """However many there are, it remembers a bounded number of them, and those who came often are among these."""
    tally = MinuteTally(0.0)
    for number in range(20 * REMEMBERED):
        tally.refuse(Asked.NOTIFICATION, "token_forged", "", f"10.0.{number // 256}.{number % 256}")
        if number % 10 == 0:
            tally.refuse(Asked.NOTIFICATION, "token_forged", "", HERE)
    (askers,) = tally._refused.values()
    assert len(askers._by_asker) <= REMEMBERED
    minute = tally.take(60.0)
    assert minute is not None
    (refusals,) = minute.refusals
    assert refusals.count == 22 * REMEMBERED
    assert refusals.named[0][0] == Asker("", HERE)
    assert refusals.others == refusals.count - sum(count for _, count in refusals.named)


@given(st.lists(st.sampled_from("abcdefghij"), max_size=200))
def test_counts_are_right_within_their_bound(addresses: list[str]) -> None:
    """The sum is exact; no asker is counted too high, nor too low by more than ``n / (REMEMBERED + 1)``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "REMEMBERED", 4)
        tally = MinuteTally(0.0)
        for address in addresses:
            tally.refuse(Asked.CHANNEL, "E_INVALIDARG", "", address)
        minute = tally.take(1.0)
    true = Counter(addresses)
    if minute is None:
        assert not addresses
        return
    (refusals,) = minute.refusals
    named = {asker.address: count for asker, count in refusals.named}
    assert refusals.count == len(addresses) == sum(named.values()) + refusals.others
    for address, count in true.items():
        assert count - len(addresses) / 5 <= named.get(address, 0) <= count
