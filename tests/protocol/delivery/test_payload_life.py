"""One payload's life: every way from the router to an end, and what each end means."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis.stateful import invariant

from tests.persistence.payloads import payload
from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.delivery.life_events import (
    MAX_CRASHES,
    MAX_FOREGROUND_CRASHES,
    Onward,
    comes_again,
    event_of_absence,
    event_of_cancellation,
    event_of_death,
    event_of_earlier_attempt,
    event_of_grace,
    event_of_outcome,
    event_of_showing,
)
from tocsin.protocol.delivery.payload_life import (
    OUTCOMES,
    TABLE,
    TERMINAL,
    Effect,
    Event,
    Phase,
    Tracked,
    ended_by_failure,
    words_of_end,
)
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.values import Outcome

CUT_OFF = frozenset({Phase.ABORTING, Phase.ENDING})
STOPS = (Effect.STOP_LAUNCH, Effect.END_PROCESS, Effect.TELL_ABORT)
ENDS = frozenset(
    {
        Phase.HANDLED,
        Phase.COMPLETED,
        Phase.SHOWN,
        Phase.SUPPRESSED,
        Phase.GIVEN_BACK,
        Phase.EXPIRED,
        Phase.DEAD,
        Phase.SUPERSEDED,
    }
)
APPS_OWN = [Onward.NOWHERE, Onward.BACKGROUND]
"""Where what is the app's may go."""
WITH_THE_APP = (
    Phase.OFFERED,
    Phase.ACTIVATED,
    Phase.CANCELING,
    Phase.ABORTING,
    Phase.ENDING,
    Phase.GIVING_WAY,
)
"""Where an app has the payload, and will say that it is through with it."""

IN_BACKGROUND = (Event.NO_SESSION_ACTIVATABLE, Event.TURN)
OUTLIVED = (*IN_BACKGROUND, Event.CANCEL, Event.OUTLIVED)
LAUNCHED = (Event.NO_SESSION_ACTIVATABLE, Event.LAUNCH)
GIVES_WAY = (*IN_BACKGROUND, Event.HANDLED_BEFORE)
STORIES: dict[str, tuple[tuple[Event, ...], Phase]] = {
    "handled at once": ((Event.HANDLED,), Phase.HANDLED),
    "refused": ((Event.REFUSED,), Phase.DEAD),
    "no session there": ((Event.NO_SESSION,), Phase.GIVEN_BACK),
    "given back": ((Event.GIVEN_BACK,), Phase.GIVEN_BACK),
    "refused, then done in the background": (
        (Event.REFUSED_ACTIVATABLE, Event.TURN, Event.COMPLETED),
        Phase.COMPLETED,
    ),
    "refused, then shown": ((Event.REFUSED_SHOWABLE, Event.SHOWN), Phase.SHOWN),
    "shown without an app": ((Event.NO_SESSION_SHOWABLE, Event.SHOWN), Phase.SHOWN),
    "not to be shown": ((Event.NO_SESSION_SHOWABLE, Event.SUPPRESSED), Phase.SUPPRESSED),
    "no toast at all": ((Event.NO_SESSION_SHOWABLE, Event.NOT_SHOWN), Phase.DEAD),
    "handled while it was being shown": ((Event.REFUSED_SHOWABLE, Event.HANDLED), Phase.HANDLED),
    "the shell began anew": ((Event.NO_SESSION_SHOWABLE, Event.GIVEN_BACK), Phase.GIVEN_BACK),
    "offered again while it was being shown": ((Event.NO_SESSION_SHOWABLE, Event.OFFERED_AGAIN), Phase.SUPERSEDED),
    "cancelled, then shown": ((Event.CANCEL, Event.REFUSED_SHOWABLE, Event.SHOWN), Phase.SHOWN),
    "cut off, then shown": ((Event.CANCEL, Event.GRACE_OVER, Event.REFUSED_SHOWABLE, Event.SHOWN), Phase.SHOWN),
    "its process was ended, then it was shown": (
        (Event.CANCEL, Event.OUTLIVED, Event.REFUSED_SHOWABLE, Event.SHOWN),
        Phase.SHOWN,
    ),
    "expired while it waited": ((Event.NO_SESSION_ACTIVATABLE, Event.EXPIRED), Phase.EXPIRED),
    "one too many": ((Event.NO_SESSION_ACTIVATABLE, Event.OVERFLOW), Phase.DEAD),
    "the activator left while it waited": ((Event.NO_SESSION_ACTIVATABLE, Event.GIVEN_BACK), Phase.GIVEN_BACK),
    "completed": ((*IN_BACKGROUND, Event.COMPLETED), Phase.COMPLETED),
    "failed": ((*IN_BACKGROUND, Event.FAILED), Phase.DEAD),
    "sessions died with it in the foreground": ((Event.CRASHED_AGAIN,), Phase.DEAD),
    "sessions died with it while they were to stop": ((Event.CANCEL, Event.CRASHED_AGAIN), Phase.DEAD),
    "sessions died with it while it was cut off": ((Event.CANCEL, Event.GRACE_OVER, Event.CRASHED_AGAIN), Phase.DEAD),
    "the process left before it began": ((*IN_BACKGROUND, Event.NO_SESSION), Phase.GIVEN_BACK),
    "the process left while it ran": ((*IN_BACKGROUND, Event.GIVEN_BACK), Phase.GIVEN_BACK),
    "cancelled, handled in time": ((Event.CANCEL, Event.HANDLED), Phase.HANDLED),
    "cancelled, ended in time": ((Event.CANCEL, Event.REFUSED), Phase.DEAD),
    "cancelled, failed": ((*IN_BACKGROUND, Event.CANCEL, Event.FAILED), Phase.DEAD),
    "cancelled, given back": ((*IN_BACKGROUND, Event.CANCEL, Event.GIVEN_BACK), Phase.GIVEN_BACK),
    "cut off": ((*IN_BACKGROUND, Event.CANCEL, Event.GRACE_OVER, Event.ABORTED), Phase.DEAD),
    "cut off, and no answer": ((Event.CANCEL, Event.GRACE_OVER, Event.GRACE_OVER), Phase.DEAD),
    "its process was ended, and said what it had left open": ((*OUTLIVED, Event.ABORTED), Phase.DEAD),
    "its process was ended, and said nothing": ((*OUTLIVED, Event.GRACE_OVER), Phase.DEAD),
    "its process was to be ended, and had handled it": ((*OUTLIVED, Event.HANDLED), Phase.HANDLED),
    "its process was to be ended, and gave it back": ((*OUTLIVED, Event.GIVEN_BACK), Phase.DEAD),
    "its process was to be ended, and died": ((*OUTLIVED, Event.CRASHED_AGAIN), Phase.DEAD),
    "its process was to be ended, and it was offered again": ((*OUTLIVED, Event.OFFERED_AGAIN), Phase.SUPERSEDED),
    "handled while it waited": ((Event.NO_SESSION_ACTIVATABLE, Event.HANDLED), Phase.HANDLED),
    "handled at the last moment": ((Event.CANCEL, Event.GRACE_OVER, Event.HANDLED), Phase.HANDLED),
    "given back at the last moment": ((Event.CANCEL, Event.GRACE_OVER, Event.GIVEN_BACK), Phase.GIVEN_BACK),
    "launched, then done": ((*LAUNCHED, Event.TURN, Event.COMPLETED), Phase.COMPLETED),
    "taken by a handler while a process was being started": (
        (*LAUNCHED, Event.TAKEN, Event.COMPLETED),
        Phase.COMPLETED,
    ),
    "still at work since before the agent was away": ((*LAUNCHED, Event.HELD, Event.COMPLETED), Phase.COMPLETED),
    "could not be launched": ((*LAUNCHED, Event.LAUNCH_FAILED), Phase.DEAD),
    "launched, and never asked for": ((*LAUNCHED, Event.LAUNCH_TIMED_OUT), Phase.DEAD),
    "expired while a process was being started": ((*LAUNCHED, Event.EXPIRED), Phase.EXPIRED),
    "handled while a process was being started": ((*LAUNCHED, Event.HANDLED), Phase.HANDLED),
    "conditions lost while a process was being started": ((*LAUNCHED, Event.GIVEN_BACK), Phase.GIVEN_BACK),
    "offered again while a process was being started": ((*LAUNCHED, Event.OFFERED_AGAIN), Phase.SUPERSEDED),
    "its processes died again and again": ((*LAUNCHED, Event.TURN, Event.CRASHED_AGAIN), Phase.DEAD),
    "handled before, and offered": ((Event.HANDLED_BEFORE,), Phase.HANDLED),
    "handled before, and cut off": ((*GIVES_WAY, Event.ABORTED), Phase.HANDLED),
    "handled before, and now": ((*GIVES_WAY, Event.HANDLED), Phase.HANDLED),
    "handled before, and given back": ((*GIVES_WAY, Event.GIVEN_BACK), Phase.HANDLED),
    "handled before, and its process died": ((*GIVES_WAY, Event.CRASHED_AGAIN), Phase.HANDLED),
    "handled before, and no answer": ((*GIVES_WAY, Event.GRACE_OVER), Phase.HANDLED),
    "handled before, and its process hangs": ((*GIVES_WAY, Event.OUTLIVED), Phase.HANDLED),
    "handled before, and offered again": ((*GIVES_WAY, Event.OFFERED_AGAIN), Phase.SUPERSEDED),
    "cancelled, and handled before": ((Event.CANCEL, Event.HANDLED_BEFORE, Event.ABORTED), Phase.HANDLED),
    "cut off, and handled before": (
        (Event.CANCEL, Event.GRACE_OVER, Event.HANDLED_BEFORE, Event.ABORTED),
        Phase.HANDLED,
    ),
    "its process was to be ended, and it was handled before": (
        (*OUTLIVED, Event.HANDLED_BEFORE, Event.ABORTED),
        Phase.HANDLED,
    ),
    "offered again": ((Event.OFFERED_AGAIN,), Phase.SUPERSEDED),
    "offered again while it waited": ((Event.NO_SESSION_ACTIVATABLE, Event.OFFERED_AGAIN), Phase.SUPERSEDED),
    "offered again while it ran": ((*IN_BACKGROUND, Event.OFFERED_AGAIN), Phase.SUPERSEDED),
    "offered again while it was cancelled": ((Event.CANCEL, Event.OFFERED_AGAIN), Phase.SUPERSEDED),
    "offered again at the last moment": ((Event.CANCEL, Event.GRACE_OVER, Event.OFFERED_AGAIN), Phase.SUPERSEDED),
}
"""What may become of a payload: together they use every row of the table."""


def live(events: tuple[Event, ...]) -> tuple[list[Phase], list[Effect]]:
    """Let a payload live through these events."""
    phases, effects = [Phase.OFFERED], list[Effect]()
    for event in events:
        phase, asked = step(TABLE, phases[-1], event)
        phases.append(phase)
        effects.extend(asked)
    return phases, effects


class TestTable(Law):
    """A payload's life keeps the law."""

    table = TABLE
    start = Phase.OFFERED
    events = Event
    effects = Effect
    ends = ENDS

    @pytest.mark.parametrize("story", STORIES)
    def test_every_story_ends_as_it_should(self, story: str) -> None:
        """Each leads to its end, and is settled there, unless another attempt has taken its place."""
        events, end = STORIES[story]
        phases, effects = live(events)
        assert phases[-1] is end
        assert effects[-1] is (Effect.FORGET if end is Phase.SUPERSEDED else Effect.SETTLE)

    def test_nothing_else_is_legal(self) -> None:
        """The stories use every row of the table: a payload has no life that is not told here."""
        told = set()
        for events, _ in STORIES.values():
            told |= set(zip(live(events)[0], events, strict=False))
        assert told == set(TABLE)

    def test_the_app_may_give_a_payload_back_as_long_as_it_has_it(self) -> None:
        """And while it waits: it goes to its next handler, and is not lost; but for what its process is being ended for."""
        given_back = {phase: TABLE[phase, event][0] for phase, event in TABLE if event is Event.GIVEN_BACK}
        assert given_back.pop(Phase.ENDING) is Phase.DEAD
        assert given_back.pop(Phase.GIVING_WAY) is Phase.HANDLED
        waiting = [Phase.QUEUED, Phase.LAUNCHING, Phase.SHOWING]
        assert given_back == dict.fromkeys([*WITH_THE_APP[:-2], *waiting], Phase.GIVEN_BACK)

    def test_only_what_an_app_works_on_can_be_cancelled(self) -> None:
        """In the foreground as in the background: it is told, and has its time of grace."""
        cancelled = {phase: result for (phase, event), result in TABLE.items() if event is Event.CANCEL}
        told = (Phase.CANCELING, (Effect.TELL_CANCEL, Effect.START_GRACE))
        assert cancelled == dict.fromkeys([Phase.OFFERED, Phase.ACTIVATED], told)


class Life(AnyEvent):
    """Anything happens to a payload at any time."""

    law = TestTable
    came_from = Phase.OFFERED
    was_handled_before = False

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """Each effect goes with where it leads: waiting is told, work has a budget, and both ways to stop it a grace."""
        ended = Effect.END_PROCESS in effects
        assert (Effect.PARK in effects) == (self.phase is Phase.QUEUED)
        assert (Effect.ACTIVATE in effects) == (self.phase is Phase.ACTIVATED)
        assert (Effect.LAUNCH in effects) == (self.phase is Phase.LAUNCHING)
        assert (Effect.START_BUDGET in effects) == (self.phase in {Phase.ACTIVATED, Phase.LAUNCHING})
        assert (Effect.TELL_CANCEL in effects) == (event is Event.CANCEL) == (self.phase is Phase.CANCELING)
        cuts_off = self.phase in CUT_OFF or event is Event.HANDLED_BEFORE
        assert (Effect.TELL_ABORT in effects) == (cuts_off and self.came_from not in CUT_OFF)
        assert (Effect.START_LAST_WORD in effects) == (self.phase is Phase.ENDING)
        outlived = event is Event.OUTLIVED
        assert outlived == (self.phase is Phase.ENDING or (self.came_from is Phase.GIVING_WAY and bool(ended)))
        assert (Effect.START_GRACE in effects) == (self.phase in {Phase.CANCELING, Phase.ABORTING, Phase.GIVING_WAY})
        if ended and self.came_from is not Phase.GIVING_WAY:  # and not one that has handled its payload
            assert self.came_from is Phase.ENDING
            assert self.phase in {Phase.DEAD, Phase.SHOWING}
        if Effect.SETTLE in effects:
            assert effects in {(Effect.SETTLE,), *((each, Effect.SETTLE) for each in STOPS)}
        if self.came_from is Phase.GIVING_WAY:
            assert self.phase in {Phase.HANDLED, Phase.SUPERSEDED}
        if self.came_from in ENDS:  # another one has begun
            self.was_handled_before = False
        self.was_handled_before |= event is Event.HANDLED_BEFORE
        self.came_from = self.phase

    @invariant()
    def it_is_settled_once_and_at_its_end(self) -> None:
        """None is settled twice, and none ends in silence but where another attempt goes on."""
        assert self.count(Effect.SETTLE) == (self.phase in OUTCOMES)
        assert self.count(Effect.FORGET) == (self.phase is Phase.SUPERSEDED)

    @invariant()
    def no_step_is_left_out(self) -> None:
        """It is activated once at most, out of the queue; told before it is cut off, and cut off once.

        What was handled before is cut off without having been told.
        """
        assert self.count(Effect.ACTIVATE) <= self.count(Effect.PARK) <= 1
        assert self.count(Effect.STOP_LAUNCH) <= self.count(Effect.LAUNCH) <= self.count(Effect.PARK)
        assert self.count(Effect.END_PROCESS) <= self.count(Effect.TELL_ABORT) <= 1
        if not self.was_handled_before:
            assert self.count(Effect.TELL_ABORT) <= self.count(Effect.TELL_CANCEL) <= 1

    @invariant()
    def whatever_can_hang_has_an_alarm(self) -> None:
        """Work in the background has its budget, work that was cancelled its grace, and so has an app that is cut off."""
        if self.phase is Phase.ACTIVATED:
            assert self.journal[-1] is Effect.START_BUDGET
        if self.phase in {Phase.CANCELING, Phase.ABORTING, Phase.GIVING_WAY}:
            assert self.journal[-1] is Effect.START_GRACE
        if self.phase is Phase.ENDING:
            assert self.journal[-1] is Effect.START_LAST_WORD

    @invariant()
    def no_process_is_ended_without_a_last_word(self) -> None:
        """Nor twice; only what was handled before has had its word."""
        words = max(self.count(Effect.START_LAST_WORD), self.was_handled_before)
        assert self.count(Effect.END_PROCESS) <= words


TestAnyEvent = Life.TestCase


class TestEnds:
    """The phases in which it is over."""

    def test_the_ends_are_known(self) -> None:
        """Six, of which one is that another attempt goes on."""
        assert TERMINAL == ENDS

    def test_every_end_means_something_for_the_inbox(self) -> None:
        """What was done is handled, what comes back waits, and the rest has ended without being handled."""
        assert OUTCOMES == {
            Phase.HANDLED: Outcome.HANDLED,
            Phase.COMPLETED: Outcome.HANDLED,
            Phase.SHOWN: Outcome.SHOWN,
            Phase.SUPPRESSED: Outcome.SUPPRESSED,
            Phase.GIVEN_BACK: Outcome.GIVEN_BACK,
            Phase.EXPIRED: Outcome.DROPPED,
            Phase.DEAD: Outcome.DROPPED,
        }

    def test_a_payload_begins_with_the_foreground(self) -> None:
        """It has no deadline, no cancellation and no reason for an end."""
        tracked = Tracked(1, "app", "c1", 1, None, payload(1, attempt=1))
        assert (tracked.phase, tracked.deadline, tracked.detail) == (Phase.OFFERED, 0.0, "")
        assert (tracked.reason, tracked.cancellation) == (None, None)

    def test_payloads_are_themselves(self) -> None:
        """Two with the same fields are two: a queue removes the one that was meant."""
        assert Tracked(1, "app", "c1", 1, None, payload(1, attempt=1)) != Tracked(
            1, "app", "c1", 1, None, payload(1, attempt=1)
        )


class TestReturned:
    """Which event it is that the app is through with a payload."""

    @pytest.mark.parametrize("onward", APPS_OWN)
    @pytest.mark.parametrize(("phase", "outcome"), list(product(WITH_THE_APP, Outcome)))
    def test_it_is_legal_wherever_an_app_has_the_payload(
        self, phase: Phase, outcome: Outcome, *, onward: Onward
    ) -> None:
        """Whatever the app says, and whenever, the supervisor can go on."""
        assert (phase, event_of_outcome(phase, outcome, onward=onward)) in TABLE

    @pytest.mark.parametrize("onward", APPS_OWN)
    @pytest.mark.parametrize("phase", WITH_THE_APP)
    def test_what_the_app_did_not_finish_goes_back(self, phase: Phase, *, onward: Onward) -> None:
        """Nothing is lost by an app that leaves, at any time."""
        assert event_of_outcome(phase, Outcome.GIVEN_BACK, onward=onward) is Event.GIVEN_BACK

    @pytest.mark.parametrize("outcome", [Outcome.NOT_HANDLED, Outcome.HANDLER_FAILED, Outcome.DROPPED])
    def test_what_the_foreground_does_not_handle_goes_to_the_background(self, outcome: Outcome) -> None:
        """If the app has an activator; else the payload has ended."""
        assert event_of_outcome(Phase.OFFERED, outcome, onward=Onward.BACKGROUND) is Event.REFUSED_ACTIVATABLE
        assert event_of_outcome(Phase.OFFERED, outcome, onward=Onward.NOWHERE) is Event.REFUSED

    @pytest.mark.parametrize("onward", APPS_OWN)
    @pytest.mark.parametrize(
        ("phase", "outcome", "event"),
        [
            (Phase.OFFERED, Outcome.HANDLED, Event.HANDLED),
            (Phase.ACTIVATED, Outcome.HANDLED, Event.COMPLETED),
            (Phase.ACTIVATED, Outcome.NOT_HANDLED, Event.COMPLETED),
            (Phase.ACTIVATED, Outcome.HANDLER_FAILED, Event.FAILED),
            (Phase.CANCELING, Outcome.HANDLED, Event.HANDLED),
            (Phase.CANCELING, Outcome.NOT_HANDLED, Event.REFUSED),
            (Phase.CANCELING, Outcome.HANDLER_FAILED, Event.FAILED),
            (Phase.CANCELING, Outcome.DROPPED, Event.REFUSED),
            (Phase.ABORTING, Outcome.NOT_HANDLED, Event.ABORTED),
            (Phase.ABORTING, Outcome.HANDLER_FAILED, Event.ABORTED),
            (Phase.ABORTING, Outcome.DROPPED, Event.ABORTED),
            (Phase.ENDING, Outcome.NOT_HANDLED, Event.ABORTED),
            (Phase.ENDING, Outcome.HANDLER_FAILED, Event.ABORTED),
            (Phase.GIVING_WAY, Outcome.NOT_HANDLED, Event.ABORTED),
            (Phase.GIVING_WAY, Outcome.HANDLER_FAILED, Event.ABORTED),
        ],
    )
    def test_it_depends_on_where_the_payload_stands(
        self, phase: Phase, outcome: Outcome, event: Event, *, onward: Onward
    ) -> None:
        """Background work handles by ending; what was cancelled does not get a second chance in the background."""
        assert event_of_outcome(phase, outcome, onward=onward) is event

    def test_handled_late_is_handled_all_the_same(self) -> None:
        """The answer and the cut-off may cross: work that is done is not reported as lost."""
        for phase in (Phase.ABORTING, Phase.ENDING, Phase.QUEUED):
            event = event_of_outcome(phase, Outcome.HANDLED, onward=Onward.NOWHERE)
            assert event is not None
            assert TABLE[phase, event][0] is Phase.HANDLED

    def test_what_an_earlier_attempt_has_handled_ends_when_no_other_is_at_work(self) -> None:
        """What an app has is cut off, and that once; its end waits for that, except where it was only offered."""
        events = {phase: event_of_earlier_attempt(phase) for phase in {phase for phase, _ in TABLE}}
        cut_off = {phase for phase, event in events.items() if event is Event.HANDLED_BEFORE}
        assert cut_off == {*WITH_THE_APP} - {Phase.GIVING_WAY}
        assert events[Phase.GIVING_WAY] is None
        ends = {phase: TABLE[phase, event][0] for phase, event in events.items() if event is not None}
        at_work = cut_off - {Phase.OFFERED}
        assert ends == {phase: Phase.GIVING_WAY if phase in at_work else Phase.HANDLED for phase in ends}

    def test_no_toast_is_shown_that_an_earlier_attempt_has_handled(self) -> None:
        """Whatever the later one says as it is cut off, or says nothing."""
        for outcome in Outcome:
            event = event_of_outcome(Phase.GIVING_WAY, outcome, onward=Onward.SHELL)
            assert event is not None
            assert TABLE[Phase.GIVING_WAY, event][0] is Phase.HANDLED
        for launched in (False, True):
            event = event_of_grace(Phase.GIVING_WAY, launched=launched, onward=Onward.SHELL)
            assert TABLE[Phase.GIVING_WAY, event][0] is Phase.HANDLED
        assert event_of_absence(Phase.GIVING_WAY, onward=Onward.SHELL) is Event.GIVEN_BACK

    @pytest.mark.parametrize("outcome", set(Outcome) - {Outcome.HANDLED})
    def test_an_answer_that_comes_again_while_it_waits_says_nothing_new(self, outcome: Outcome) -> None:
        """An app that had a payload twice, because the router began anew, answers twice."""
        assert event_of_outcome(Phase.QUEUED, outcome, onward=Onward.BACKGROUND) is None


class TestShown:
    """What goes to the shell where the foreground does not keep it."""

    @pytest.mark.parametrize("outcome", [Outcome.NOT_HANDLED, Outcome.HANDLER_FAILED, Outcome.DROPPED])
    @pytest.mark.parametrize("phase", [Phase.OFFERED, Phase.CANCELING, Phase.ABORTING, Phase.ENDING])
    def test_only_handled_keeps_it_from_the_shell(self, phase: Phase, outcome: Outcome) -> None:
        """A handler that fails, hangs or is cut off keeps no toast from the user."""
        assert event_of_outcome(phase, outcome, onward=Onward.SHELL) is Event.REFUSED_SHOWABLE
        assert event_of_outcome(phase, Outcome.HANDLED, onward=Onward.SHELL) is Event.HANDLED
        assert TABLE[phase, Event.REFUSED_SHOWABLE][0] is Phase.SHOWING

    def test_it_needs_no_session(self) -> None:
        """The app may not even run; and one that does not answer is waited for no longer."""
        assert event_of_absence(Phase.OFFERED, onward=Onward.SHELL) is Event.NO_SESSION_SHOWABLE
        assert event_of_absence(Phase.SHOWING, onward=Onward.SHELL) is None
        for phase in (Phase.ABORTING, Phase.ENDING):
            assert event_of_grace(phase, launched=False, onward=Onward.SHELL) is Event.REFUSED_SHOWABLE
        assert event_of_grace(Phase.CANCELING, launched=False, onward=Onward.SHELL) is Event.GRACE_OVER

    def test_what_the_shell_says_counts_while_it_has_the_payload(self) -> None:
        """What it says later, or of what it has no more, means nothing."""
        said = {outcome: event_of_showing(Phase.SHOWING, outcome) for outcome in Outcome}
        assert said[Outcome.SHOWN] is Event.SHOWN
        assert said[Outcome.SUPPRESSED] is Event.SUPPRESSED
        assert said[Outcome.GIVEN_BACK] is Event.GIVEN_BACK
        assert said[Outcome.DROPPED] is Event.NOT_SHOWN
        assert all((Phase.SHOWING, event) in TABLE for event in said.values())
        assert {event_of_showing(phase, Outcome.SHOWN) for phase in Phase if phase is not Phase.SHOWING} == {None}

    def test_what_the_app_says_meanwhile_counts_only_as_handled(self) -> None:
        """A handler that had it before may have handled it late."""
        assert event_of_outcome(Phase.SHOWING, Outcome.HANDLED, onward=Onward.SHELL) is Event.HANDLED
        for outcome in (Outcome.NOT_HANDLED, Outcome.HANDLER_FAILED, Outcome.GIVEN_BACK, Outcome.DROPPED):
            assert event_of_outcome(Phase.SHOWING, outcome, onward=Onward.SHELL) is None


class TestUnreachable:
    """Which event it is when no session could take a payload."""

    @pytest.mark.parametrize("onward", APPS_OWN)
    @pytest.mark.parametrize("phase", WITH_THE_APP[:-2])
    def test_it_is_legal_and_loses_nothing(self, phase: Phase, *, onward: Onward) -> None:
        """Wherever an app should have the payload, it goes back to the inbox or on to the background."""
        event = event_of_absence(phase, onward=onward)
        assert event is not None
        assert TABLE[phase, event][0] in {Phase.GIVEN_BACK, Phase.QUEUED}

    @pytest.mark.parametrize("phase", WITH_THE_APP[1:])
    def test_only_what_the_foreground_should_have_had_goes_to_the_background(self, phase: Phase) -> None:
        """What was there already, or was cancelled, waits in the inbox."""
        assert event_of_absence(Phase.OFFERED, onward=Onward.BACKGROUND) is Event.NO_SESSION_ACTIVATABLE
        assert event_of_absence(Phase.OFFERED, onward=Onward.NOWHERE) is Event.NO_SESSION
        assert event_of_absence(phase, onward=Onward.BACKGROUND) is event_of_absence(phase, onward=Onward.NOWHERE)

    @pytest.mark.parametrize("onward", APPS_OWN)
    def test_what_waits_for_the_background_goes_on_waiting(self, *, onward: Onward) -> None:
        """The answer to an earlier attempt says nothing of it."""
        assert event_of_absence(Phase.QUEUED, onward=onward) is None


def test_a_failure_ends_the_deferrals_that_its_handler_has_taken() -> None:
    """Those of the others stay, whichever came first."""
    taken = {"a": "first", "b": "second", "c": "first"}
    assert ended_by_failure(taken, "first") == ["a", "c"]
    assert ended_by_failure(taken, "third") == []


@pytest.mark.parametrize(("in_background", "limit"), [(True, MAX_CRASHES), (False, MAX_FOREGROUND_CRASHES)])
def test_what_a_session_had_when_it_died_comes_back_unless_that_goes_on(in_background: bool, limit: int) -> None:
    """It is given up sooner where each death starts another process; both events are legal wherever an app is at work."""
    for crashes in range(1, limit + 2):
        event = event_of_death(crashes, in_background=in_background)
        assert event is (Event.CRASHED_AGAIN if crashes >= limit else Event.GIVEN_BACK)
        assert all((phase, event) in TABLE for phase in WITH_THE_APP)


@pytest.mark.parametrize("launched", [False, True])
@pytest.mark.parametrize("retired", [False, True])
def test_what_a_fence_cuts_off_comes_again_to_the_session_that_has_it(*, launched: bool, retired: bool) -> None:
    """But not to one that was launched for it, nor to one that is to end."""
    assert comes_again(launched=launched, retired=retired) == ((launched, retired) == (False, False))


def test_only_a_launched_process_is_ended_when_the_grace_is_over() -> None:
    """Once: what follows is the end of its last word; both events are legal there."""
    for phase in (Phase.CANCELING, Phase.ABORTING, Phase.GIVING_WAY):
        assert event_of_grace(phase, launched=False) is Event.GRACE_OVER
    for phase in (Phase.CANCELING, Phase.GIVING_WAY):
        event = event_of_grace(phase, launched=True)
        assert event is Event.OUTLIVED
        assert {Effect.START_LAST_WORD, Effect.END_PROCESS} & {*TABLE[phase, event][1]}
    assert event_of_grace(Phase.ENDING, launched=True) is Event.GRACE_OVER


def test_the_command_is_named_with_what_it_has_left_open() -> None:
    """Or it is said that it has not answered."""
    assert words_of_end("/bin/app", "a deferral") == "the process of /bin/app was ended: a deferral"
    assert words_of_end("x", "") == "the process of x was ended: the handler was running, and did not answer"


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("reason", CancellationReason)
def test_a_cancellation_is_an_event_where_there_is_something_to_cancel(
    phase: Phase, reason: CancellationReason
) -> None:
    """A process that is only being started gets no word: the payload waits again, or dies of the time that it took."""
    event = event_of_cancellation(phase, reason)
    if phase is Phase.LAUNCHING:
        late = reason is CancellationReason.EXECUTION_TIME_EXCEEDED
        assert event is (Event.LAUNCH_TIMED_OUT if late else Event.GIVEN_BACK)
    else:
        assert event is (Event.CANCEL if (phase, Event.CANCEL) in TABLE else None)
    assert event is None or (phase, event) in TABLE
