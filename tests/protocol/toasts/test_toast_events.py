"""Which event it is that something has happened to a toast."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.toasts.shell_toast import ToastWishes
from tocsin.protocol.toasts.toast_events import (
    event_of_arrival,
    event_of_closing,
    event_of_failure,
    outcome_of_failure,
    phase_after_restart,
    seconds_on_screen,
)
from tocsin.protocol.toasts.toast_life import TABLE, Event, Phase
from tocsin.protocol.values import DropReason, Outcome


@pytest.mark.parametrize(
    ("suppress", "urgent", "quiet", "event"),
    [
        (False, False, False, None),
        (False, False, True, Event.HOLD),
        (False, True, True, None),
        (True, False, False, Event.FILE),
        (True, True, True, Event.FILE),
    ],
)
def test_what_keeps_a_toast_from_its_turn(*, suppress: bool, urgent: bool, quiet: bool, event: Event | None) -> None:
    """Its sender's wish first; quiet hours do not hold back what is urgent."""
    decided = event_of_arrival(ToastWishes(suppress_display=suppress), is_urgent=urgent, quiet_hours=quiet)
    assert (None if decided is None else decided[0]) is event


@given(
    phase=st.sampled_from([Phase.SENDING, Phase.CHANGED, Phase.RECALLED, Phase.CLICKED]),
    reason=st.sampled_from([DropReason.NO_DESKTOP, DropReason.SHELL_FULL, DropReason.SHELL_FAILED]),
    again=st.booleans(),
    answered=st.booleans(),
)
def test_each_failure_is_an_event_of_its_phase(
    phase: Phase, reason: DropReason, *, again: bool, answered: bool
) -> None:
    """Room is made once only, and what was shown before is kept where there is no desktop."""
    event = event_of_failure(phase, reason, is_second_try=again, is_answered=answered)
    assert (phase, event) in TABLE
    assert (event is Event.FULL) == (reason is DropReason.SHELL_FULL and not again)
    assert event is not Event.UNSEEN or (reason is DropReason.NO_DESKTOP and answered)


def test_a_missing_desktop_is_no_failure_of_the_toast() -> None:
    """Neither is that its sender has deleted it; anything else is."""
    fine = {reason for reason in DropReason if outcome_of_failure(reason) is Outcome.SUPPRESSED}
    assert fine == {DropReason.NO_DESKTOP, DropReason.WITHDRAWN}
    assert outcome_of_failure(None) is Outcome.DROPPED


def test_a_popup_that_the_user_closes_takes_its_toast_along() -> None:
    """Not one that the desktop takes down, and not where the toast is another one already."""
    assert event_of_closing(by_itself=False, is_awaited=False) is Event.DISMISSED
    assert event_of_closing(by_itself=True, is_awaited=False) is Event.LEFT_SCREEN
    assert event_of_closing(by_itself=False, is_awaited=True) is Event.LEFT_SCREEN


@pytest.mark.parametrize(
    ("seconds", "expires", "expected"),
    [(None, None, None), (7.0, None, 7.0), (None, 105.0, 5.0), (7.0, 105.0, 5.0), (7.0, 200.0, 7.0), (7.0, 90.0, 0.0)],
)
def test_a_toast_leaves_with_its_time_or_when_it_expires(
    seconds: float | None, expires: float | None, expected: float | None
) -> None:
    """Whichever is first; at 100 s it is now."""
    assert seconds_on_screen(seconds, expires, 100.0) == expected


@pytest.mark.parametrize(
    ("other_boot", "held", "until", "expires", "phase"),
    [
        (False, False, None, None, Phase.WAITING),
        (False, False, 101.0, None, Phase.WAITING),
        (False, False, 100.0, None, Phase.KEPT),
        (False, False, 0.0, None, Phase.KEPT),
        (False, True, 0.0, 101.0, Phase.HELD),
        (False, True, 0.0, 100.0, Phase.GONE),
        (True, False, None, None, Phase.GONE),
    ],
)
def test_after_a_restart_a_toast_stands_where_it_stood(
    *, other_boot: bool, held: bool, until: float | None, expires: float | None, phase: Phase
) -> None:
    """What was on the screen is shown again, unless its time is up; at 100 s it is now."""
    found = phase_after_restart(is_of_other_boot=other_boot, is_held=held, until=until, expires=expires, now=100.0)
    assert found is phase
