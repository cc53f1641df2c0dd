"""What is said of what comes again and again."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.kernel.recurrence import Recurrences, Repeats


def test_the_first_is_said_and_the_others_are_counted() -> None:
    """Once an interval it is said how many there were; what has stayed away is new when it comes again."""
    rule: Recurrences[str] = Recurrences(60, 10)
    assert [rule.note("fault", "words", moment) for moment in (0, 1, 2)] == [True, False, False]
    assert list(rule.due(59)) == []
    assert list(rule.due(60)) == [Repeats("words", 2, 60)]
    assert not rule.note("fault", "other words", 61)
    assert list(rule.due(125)) == [Repeats("words", 1, 65)]
    assert list(rule.due(185)) == []
    assert rule.note("fault", "other words", 186)


def test_what_finds_no_place_is_counted_too() -> None:
    """A thousand different things are not a thousand lines."""
    rule: Recurrences[str] = Recurrences(60, 2)
    assert [rule.note(number, str(number), 0) for number in range(5)] == [True, True, False, False, False]
    assert list(rule.due(60)) == [Repeats(None, 3, 60)]
    assert rule.note(5, "5", 61)


def test_the_rest_is_said_at_the_end() -> None:
    """A count is not lost because its time has not come."""
    rule: Recurrences[str] = Recurrences(60, 1)
    for thing in ("a", "a", "b"):
        rule.note(thing, thing, 0)
    assert list(rule.rest(1)) == [Repeats("a", 1, 1), Repeats(None, 1, 1)]
    assert list(rule.rest(2)) == []


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 40), st.booleans())))
def test_everything_is_said_or_counted_once(events: list[tuple[str, int, bool]]) -> None:
    """Whatever comes when, what was said at once and what was counted add up; and no thing is said twice in an interval."""
    rule: Recurrences[str] = Recurrences(60, 3)
    now, said, counted = 0, Counter[str](), 0
    last: dict[str, int] = {}
    for thing, pause, looks in events:
        now += pause
        if rule.note(thing, thing, now):
            assert now - last.get(thing, -60) >= 60
            last[thing] = now
            said[thing] += 1
        if looks:
            for repeats in rule.due(now):
                counted += repeats.again
                if repeats.words is not None:
                    assert now - last[repeats.words] >= 60
                    last[repeats.words] = now
    counted += sum(repeats.again for repeats in rule.rest(now))
    assert said.total() + counted == len(events)
