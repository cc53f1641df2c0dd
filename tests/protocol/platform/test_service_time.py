"""The service's time on a machine with clocks of its own: no moment of the service passes before its time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tocsin.protocol.platform.service_time import DOUBTFUL, Absence, Mark, ServiceTime, Verdict

DAYS = st.floats(-40 * 86_400.0, 40 * 86_400.0)
SPANS = st.floats(0.0, 40 * 86_400.0)
CLOSE = 1e-3  # what adding up seconds since the epoch may lose


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_a_mark_is_read_as_it_was_kept(service: float, wall: float) -> None:
    """To the last bit."""
    for mark in (Mark(service, wall), Mark(service, wall, wall, "0e5f-run")):
        assert Mark.parse(str(mark)) == mark


def test_without_a_mark_the_wall_clock_is_believed_but_not_relied_on() -> None:
    """What should have passed by the wall clock is in doubt until the service is heard."""
    time = ServiceTime.recalled(Mark.parse(None), wall=1e9, steady=5.0)
    assert time.likely(5.0) == 1e9
    assert time.judge(1e9 - 1, 5.0) is Verdict.IN_DOUBT
    assert time.judge(1e9 + 1, 5.0) is Verdict.AHEAD
    time.hear(1e9 + 600, 6.0)
    assert time.judge(1e9 + 599, 6.0) is Verdict.PAST


def test_a_wall_clock_that_went_back_while_the_machine_was_off_takes_nothing_away() -> None:
    """The service's time goes on where it was."""
    time = ServiceTime.recalled(Mark(1e9, 2e9), wall=1e9, steady=0.0)
    assert (time.least(7.0), time.likely(7.0)) == (1e9 + 7, 1e9 + 7)


def test_time_that_the_machine_was_off_counts_once_the_service_has_said_so() -> None:
    """As long as the wall clock says, until then: long enough not to hand out what has expired."""
    time = ServiceTime.recalled(Mark(1e9, 2e9), wall=2e9 + 3600, steady=0.0)
    assert time.judge(1e9 + 600, 0.0) is Verdict.IN_DOUBT
    assert time.judge(1e9 + 4000, 0.0) is Verdict.AHEAD
    assert time.judge(1e9, 0.0) is Verdict.PAST
    time.hear(1e9 + 3600, 1.0)
    assert time.known
    assert time.judge(1e9 + 600, 1.0) is Verdict.PAST


class Clocks(RuleBasedStateMachine):
    """A service and a machine.

    The machine's wall clock is set to anything at any time, its steady clock may stand still while it sleeps, and it is
    off now and then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.service = 1.7e9
        self.wall_is_off_by = 0.0
        self.steady = 100.0
        self.missed = 0.0  # time that the machine cannot know of
        self.mark = Mark()
        self.time = ServiceTime.recalled(self.mark, self.wall, self.steady)

    @property
    def wall(self) -> float:
        """What the wall clock shows."""
        return self.service + self.wall_is_off_by

    @rule(seconds=SPANS)
    def time_goes_by(self, seconds: float) -> None:
        """On all clocks."""
        self.service += seconds
        self.steady += seconds

    @rule(seconds=SPANS)
    def the_machine_sleeps_unnoticed(self, seconds: float) -> None:
        """On a system whose steady clock stands still then."""
        self.service += seconds
        self.missed += seconds

    @rule(seconds=DAYS)
    def the_wall_clock_is_set(self, seconds: float) -> None:
        """Forwards or backwards."""
        self.wall_is_off_by += seconds

    @rule(ago=st.sampled_from([0.0, 0.0, 10.0]))
    def the_service_is_heard(self, ago: float) -> None:
        """What it has said may have been on its way for some time."""
        self.time.hear(self.service - ago, self.steady)
        self.missed = ago

    @precondition(lambda self: self.time.known)
    @rule()
    def the_time_is_kept(self) -> None:
        """For the next start."""
        self.mark = Mark(self.time.least(self.steady), self.wall)

    @rule(off=SPANS, steady=st.floats(0, 1e6))
    def the_machine_starts_anew(self, off: float, steady: float) -> None:
        """After some time, with a steady clock that begins anywhere."""
        self.service += off
        self.steady = steady
        self.missed = self.service - self.mark.service
        self.time = ServiceTime.recalled(self.mark, self.wall, steady)

    @invariant()
    def no_moment_passes_too_early(self) -> None:
        """What the service says is still ahead has not passed here."""
        assert self.time.judge(self.service + CLOSE, self.steady) is not Verdict.PAST

    @invariant()
    def none_passes_later_than_what_the_machine_cannot_know(self) -> None:
        """Once the service was heard, nothing is in doubt."""
        late = self.service - self.missed - CLOSE
        assert self.time.judge(late, self.steady) is not Verdict.AHEAD
        if self.time.known:
            assert self.time.judge(late, self.steady) is Verdict.PAST


TestClocks = Clocks.TestCase


@pytest.mark.parametrize(
    ("wall", "steady", "boot", "absence"),
    [
        (2e9 + 90 * 86_400, 60.0, "run", Absence(10.0, certain=True)),
        (1e9, 60.0, "run", Absence(10.0, certain=True)),
        (2e9 + 10, 40.0, "run", Absence(10.0, certain=False)),
        (2e9 + 10, 60.0, "other run", Absence(10.0, certain=False)),
        (2e9 + 10, 60.0, "", Absence(10.0, certain=False)),
        (1e9, 60.0, "other run", Absence(0.0, certain=False)),
    ],
)
def test_how_long_a_process_was_off(wall: float, steady: float, boot: str, absence: Absence) -> None:
    """In the same run of the machine what its steady clock says; else what its wall clock says, which may have been set."""
    assert Mark(1e9, 2e9, 50.0, "run").absence(wall, steady, boot) == absence
    assert not absence.doubtful


def test_a_long_absence_is_in_doubt_where_only_the_wall_clock_says_it() -> None:
    """Where nothing was kept there was none, and a machine whose run is not known is never taken for the same."""
    assert Mark(1e9, 2e9).absence(2e9 + DOUBTFUL, 0.0, "").doubtful
    assert not Mark().absence(2e9, 0.0, "").doubtful
