"""The line of turns: who stands in it has a turn right behind the one that goes on."""

from __future__ import annotations

import pytest
from attrs import Factory, define

from tocsin.actors.turn_line import AT_ONCE, TurnLine


@define
class Follower:
    """Notes its turns, and lets others have theirs behind them."""

    name: str
    line: TurnLine
    log: list[str]
    behind: list[Follower] = Factory(list)
    failure: Exception | None = None

    def take_turn(self) -> None:
        """Note a turn."""
        self.log.append(self.name)
        if self.failure is not None:
            raise self.failure
        for each in self.behind:
            assert self.line.join(each)

    def fail(self, failure: Exception) -> None:
        """Note what is to be raised elsewhere."""
        self.log.append(f"{self.name} hears of {failure}")

    def wake(self) -> None:
        """Note that it is to have its turn elsewhere."""
        self.log.append(f"{self.name} is woken")


def test_turns_come_behind_the_one_in_which_they_came_due() -> None:
    """In the order in which they came due, those of a follower's turn behind all before; the first turn's result is returned."""
    line, log = TurnLine(), list[str]()
    d = Follower("d", line, log)
    b, c = Follower("b", line, log, [d]), Follower("c", line, log)

    def first() -> int:
        assert line.join(b)
        assert line.join(c)
        log.append("a")
        return 1

    assert line.lead(first) == 1
    assert log == ["a", "b", "c", "d"]


def test_outside_of_a_turn_there_is_no_line() -> None:
    """Before the first, and behind the last."""
    line, log = TurnLine(), list[str]()
    follower = Follower("a", line, log)
    assert not line.join(follower)
    line.lead(list)
    assert not line.join(follower)
    assert log == []


def test_a_turn_within_a_turn_is_part_of_it() -> None:
    """What comes due in it comes behind the whole."""
    line, log = TurnLine(), list[str]()
    follower = Follower("follower", line, log)

    def inner() -> None:
        line.join(follower)
        log.append("inner")

    def outer() -> None:
        line.lead(inner)
        log.append("outer")

    line.lead(outer)
    assert log == ["inner", "outer", "follower"]


def test_two_who_never_come_to_an_end_do_not_hold_the_event_loop_up() -> None:
    """After so many turns the next is woken instead."""
    line, log = TurnLine(), list[str]()
    a, b = Follower("a", line, log), Follower("b", line, log)
    a.behind, b.behind = [b], [a]
    line.lead(lambda: line.join(a))
    assert log == [*(["a", "b"] * (AT_ONCE // 2)), "a is woken"]
    assert not line.join(a)


def test_a_turn_that_fails_leaves_nothing_undone() -> None:
    """Its failure is raised; who stood in line is woken, and the line can be led again."""
    line, log = TurnLine(), list[str]()
    follower = Follower("a", line, log)

    def fail() -> None:
        line.join(follower)
        raise OSError("planted")

    with pytest.raises(OSError, match="planted"):
        line.lead(fail)
    assert log == ["a is woken"]
    line.lead(lambda: line.join(follower))
    assert log == ["a is woken", "a"]


def test_what_fails_in_the_line_is_told_to_the_follower_that_has_failed() -> None:
    """The turn that was led returns as always, and those behind have theirs."""
    line, log = TurnLine(), list[str]()
    a, b = Follower("a", line, log, failure=OSError("planted")), Follower("b", line, log)

    def first() -> int:
        line.join(a)
        line.join(b)
        return 1

    assert line.lead(first) == 1
    assert log == ["a", "a hears of planted", "b"]
