"""The clicks of one app: a session before a process, one process at a time, and in order."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages import ToastActivationType
from tocsin.protocol.toasts.activation_life import ENDS, LAUNCH_BUDGET, TABLE, WAIT, Click, Event, Phase
from tocsin.protocol.toasts.click_turns import ARRIVAL, MAX_WAITING, ClickTurns


def click(number: int, phase: Phase = Phase.WAITING, expires: float = WAIT) -> Click:
    """Make a click."""
    found = Click(number, "mail", 1, "", "", ToastActivationType.FOREGROUND, "a", (), 0.0, expires=expires)
    found.phase = phase
    return found


def turns_of(*clicks: Click, command: bytes = b"c") -> ClickTurns:
    """Make the turns of an app with these clicks."""
    return ClickTurns(command, {each.number: each for each in clicks})


class TestMoves:
    """What happens next."""

    def test_a_session_has_them_before_a_process_is_started(self) -> None:
        """The oldest first."""
        first, second = click(1), click(2)
        turns = turns_of(first, second)
        assert turns.next_move(0.0, "s", 0) == (first, Event.TAKEN)
        first.phase = Phase.OFFERED
        assert turns.next_move(0.0, "s", 0) == (second, Event.TAKEN)
        second.phase = Phase.OFFERED
        assert turns.next_move(0.0, "s", 0) is None

    def test_without_a_session_the_first_one_starts_a_process_and_the_others_wait_for_it(self) -> None:
        """One at a time."""
        first, second = click(1), click(2)
        turns = turns_of(first, second)
        assert turns.next_move(0.0, "", 0) == (first, Event.LAUNCH)
        first.phase = Phase.LAUNCHING
        assert turns.next_move(0.0, "", 0) is None

    def test_without_a_command_they_wait(self) -> None:
        """Nothing is known that could be started."""
        assert turns_of(click(1), command=b"").next_move(0.0, "", 0) is None

    @pytest.mark.parametrize(("launched_for", "event"), [(1, Event.ARRIVED), (0, Event.TAKEN), (2, Event.TAKEN)])
    def test_a_session_that_comes_while_a_process_is_started_has_the_click(
        self, launched_for: int, event: Event
    ) -> None:
        """Where it is another process than that, that one is not needed."""
        launching = click(1, Phase.LAUNCHING)
        assert turns_of(launching, click(2)).next_move(0.0, "s", launched_for) == (launching, event)

    def test_the_others_wait_a_while_for_a_launched_process(self) -> None:
        """It may yet take them; if it does not, or ends, the next starts another."""
        waiting = click(2)
        turns = turns_of(waiting)
        turns.expect("s", ARRIVAL)
        assert turns.next_move(ARRIVAL - 1, "", 0) is None
        assert turns.next_moment(ARRIVAL - 1) == ARRIVAL
        assert turns.next_move(ARRIVAL, "", 0) == (waiting, Event.LAUNCH)
        assert turns.drop_session("another") == []
        assert turns.next_move(ARRIVAL - 1, "", 0) is None
        assert turns.drop_session("s") == []
        assert turns.next_move(ARRIVAL - 1, "", 0) == (waiting, Event.LAUNCH)

    def test_what_has_waited_too_long_goes_first(self) -> None:
        """Neither a session nor a process gets it."""
        late = click(1, expires=5.0)
        turns = turns_of(late)
        assert turns.next_moment(0.0) == 5.0
        assert turns.next_move(5.0, "s", 0) == (late, Event.EXPIRED)

    def test_so_many_wait_and_no_more(self) -> None:
        """Of more the oldest goes."""
        clicks = [click(number) for number in range(MAX_WAITING + 1)]
        assert turns_of(*clicks, command=b"").next_move(0.0, "", 0) == (clicks[0], Event.OVERFLOW)
        assert turns_of(*clicks[1:], command=b"").next_move(0.0, "", 0) is None

    def test_a_launch_has_its_budget(self) -> None:
        """Whatever the click's own wait is."""
        launching = click(1, Phase.LAUNCHING, expires=5.0)
        launching.deadline = LAUNCH_BUDGET
        turns = turns_of(launching)
        assert turns.next_moment(0.0) == LAUNCH_BUDGET
        assert turns.overdue(LAUNCH_BUDGET - 1) is None
        assert turns.overdue(LAUNCH_BUDGET) is launching


class TestTakers:
    """Who takes clicks."""

    def test_the_last_one_that_has_said_so_has_them(self) -> None:
        """As long as it is there, and may; then the one before."""
        turns = ClickTurns()
        for session in ("a", "b", "a"):
            turns.take(session)
        assert turns.taker(lambda _: False) == "a"
        assert turns.taker(lambda session: session == "a") == "b"
        turns.leave("a")
        assert turns.taker(lambda _: False) == "b"
        turns.drop_session("b")
        assert turns.taker(lambda _: False) == ""

    def test_what_a_session_has_comes_back_with_its_end(self) -> None:
        """And nothing of another's."""
        mine, other, waiting = click(1, Phase.OFFERED), click(2, Phase.OFFERED), click(3)
        mine.session, other.session = "s", "t"
        assert turns_of(mine, other, waiting).drop_session("s") == [mine]


class Turns(RuleBasedStateMachine):
    """Clicks, sessions and processes come and go; each move is taken as the table has it."""

    def __init__(self) -> None:
        super().__init__()
        self.turns, self.now, self.number = ClickTurns(b"c"), 0.0, 0

    def settle(self) -> None:
        """Take all moves that there are."""
        taker = self.turns.taker(lambda _: False)
        while (move := self.turns.next_move(self.now, taker, 0)) is not None:
            self.happens(*move, session=taker)

    def happens(self, which: Click, event: Event, session: str = "") -> None:
        """Let a click take a step."""
        which.phase, _ = step(TABLE, which.phase, event)
        which.session, which.deadline = session, self.now + LAUNCH_BUDGET if which.phase is Phase.LAUNCHING else 0.0
        if which.phase in ENDS:
            del self.turns.clicks[which.number]

    @rule()
    def a_toast_is_clicked(self) -> None:
        """One more."""
        self.number += 1
        self.turns.clicks[self.number] = click(self.number, expires=self.now + WAIT)
        self.settle()

    @rule(session=st.sampled_from("ab"))
    def a_session_takes_them(self, session: str) -> None:
        """From now on."""
        self.turns.take(session)
        self.settle()

    @rule(session=st.sampled_from("ab"))
    def a_session_ends(self, session: str) -> None:
        """With what it has."""
        for each in self.turns.drop_session(session):
            self.happens(each, Event.SESSION_GONE)
        self.settle()

    @precondition(lambda self: self.turns.clicks)
    @rule(data=st.data())
    def something_else_happens(self, data: st.DataObject) -> None:
        """To any of them, as far as it is legal."""
        which = self.turns.clicks[data.draw(st.sampled_from(sorted(self.turns.clicks)))]
        event = data.draw(st.sampled_from([Event.DONE, Event.LAUNCH_FAILED]))
        if (which.phase, event) in TABLE:
            self.happens(which, event)
        self.settle()

    @rule(seconds=st.sampled_from([1.0, LAUNCH_BUDGET, WAIT]))
    def time_goes_by(self, seconds: float) -> None:
        """And what is late is dealt with."""
        self.now += seconds
        while (late := self.turns.overdue(self.now)) is not None:
            self.happens(late, Event.LAUNCH_TIMED_OUT)
        self.settle()

    @invariant()
    def none_waits_for_nothing(self) -> None:
        """Where one waits, no session takes them, and a process is being started; and there is never a second one."""
        phases = [each.phase for each in self.turns.clicks.values()]
        assert phases.count(Phase.LAUNCHING) <= 1
        if Phase.WAITING in phases:
            assert not self.turns.takers
            assert Phase.LAUNCHING in phases

    @invariant()
    def it_is_looked_again_in_time(self) -> None:
        """As soon as anything is late."""
        moment = self.turns.next_moment(self.now)
        assert (moment is None) == all(each.phase is Phase.OFFERED for each in self.turns.clicks.values())
        assert moment is None or moment > self.now


TestTurns = Turns.TestCase
