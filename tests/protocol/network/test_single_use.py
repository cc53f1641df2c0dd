"""What opens something once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.network.single_use import SingleUse


@given(tries=st.lists(st.tuples(st.sampled_from(["key", "keys", "", "KEY", "k\udcffy"]), st.floats(0, 120))))
def test_only_the_key_opens_and_once_and_in_time(tries: list[tuple[str, float]]) -> None:
    """The first time that it is given in time; wrong ones, however many, take nothing from it."""
    first = SingleUse("key", 60.0)
    right = [number for number, (given, now) in enumerate(tries) if given == "key" and now < 60.0]
    assert [number for number, each in enumerate(tries) if first.opens(*each)] == right[:1]


def test_it_has_lost_its_worth_at_its_end() -> None:
    """Not a moment later."""
    assert not SingleUse("key", 60.0).opens("key", 60.0)
    assert SingleUse("key", 60.0).opens("key", 59.9)
