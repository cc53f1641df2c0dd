"""The machine's state: which conditions hold, what becomes of a payload that arrives, and what interrupts work."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tocsin.protocol.errors import IllegalCall
from tocsin.protocol.platform.activation import CancellationReason, SystemConditionType
from tocsin.protocol.platform.conditions import (
    AppSettings,
    Gate,
    Gates,
    HostState,
    check_exemption,
    exemptions,
    interruption,
    judge,
    obstacle,
)
from tocsin.protocol.platform.power import MAX_EXEMPT, MAX_EXEMPT_BYTES
from tocsin.protocol.values import DropReason

C = SystemConditionType
REAL = [condition for condition in C if condition is not C.INVALID]
HOLDS_WHEN: dict[SystemConditionType, dict[str, bool]] = {
    C.USER_PRESENT: {"user_present": True},
    C.USER_NOT_PRESENT: {"user_present": False},
    C.INTERNET_AVAILABLE: {"internet_available": True},
    C.INTERNET_NOT_AVAILABLE: {"internet_available": False},
    C.SESSION_CONNECTED: {"session_connected": True},
    C.SESSION_DISCONNECTED: {"session_connected": False},
    C.FREE_NETWORK_AVAILABLE: {"internet_available": True, "free_network_available": True},
    C.BACKGROUND_WORK_COST_NOT_HIGH: {"background_work_cost_high": False},
}
"""What has to be known of the machine for each condition, all of it."""

CAUSES: list[tuple[str, bool, CancellationReason]] = [
    ("cloud_notifications", False, CancellationReason.SYSTEM_POLICY),
    ("session_connected", False, CancellationReason.LOGGING_OFF),
    ("energy_saver", True, CancellationReason.ENERGY_SAVER),
    ("quiet_hours", True, CancellationReason.QUIET_HOURS_ENTERED),
    ("internet_available", False, CancellationReason.CONDITION_LOSS),
]
"""What interrupts work that needs the internet: the field, its bad value, the reason; the first of several is told."""

WORK = (C.INTERNET_AVAILABLE,)
ANYONE, EXEMPT = AppSettings(), AppSettings(exempt_from_energy_saver=True)


def hosts() -> SearchStrategy[HostState]:
    """Any state of a machine."""
    return st.builds(HostState, *[st.booleans()] * 8)


def settings() -> SearchStrategy[AppSettings]:
    """Anything that a user may have decided."""
    return st.builds(AppSettings, st.booleans(), st.booleans(), st.booleans())


def priorities() -> SearchStrategy[int]:
    """High, medium, low, very low."""
    return st.integers(1, 4)


class TestMeets:
    """Which conditions hold."""

    @given(hosts())
    def test_a_condition_holds_exactly_when_all_of_its_facts_do(self, host: HostState) -> None:
        """Nothing else of the machine's state bears on it."""
        for condition, facts in HOLDS_WHEN.items():
            assert host.meets(condition) == all(getattr(host, name) is value for name, value in facts.items())

    @pytest.mark.parametrize("condition", REAL, ids=lambda condition: condition.name)
    def test_each_fact_of_a_condition_is_needed(self, condition: SystemConditionType) -> None:
        """With its facts it holds, and with any one of them turned it does not."""
        facts = HOLDS_WHEN[condition]
        host = evolve(HostState(), **facts)
        assert host.meets(condition)
        for name, value in facts.items():
            assert not evolve(host, **{name: not value}).meets(condition)

    def test_a_machine_of_which_nothing_is_known_holds_nothing_up(self) -> None:
        """All that a server's app may ask for holds; what never holds with it does not."""
        unmet = {condition for condition in REAL if not HostState().meets(condition)}
        assert unmet == {C.USER_NOT_PRESENT, C.INTERNET_NOT_AVAILABLE, C.SESSION_DISCONNECTED}
        assert judge(HostState(), AppSettings(), 4) == (Gate.PASS, None)
        assert AppSettings().background

    @given(hosts(), st.lists(st.sampled_from(REAL)))
    def test_all_of_several_have_to_hold(self, host: HostState, conditions: list[SystemConditionType]) -> None:
        """One that does not hold is enough; of none, all hold; numbers, as stored, will do."""
        unmet = [condition for condition in conditions if not host.meets(condition)]
        assert host.meets_all(conditions) == (not unmet)
        assert host.meets_all(int(condition) for condition in conditions) == (not unmet)
        assert host.meets_all(())


class TestJudge:
    """What becomes of a payload that arrives."""

    @pytest.mark.parametrize(
        ("energy_saver", "exempt", "by_priority"),
        [(False, False, "PPPP"), (False, True, "PPPP"), (True, False, "HHHH"), (True, True, "PPPH")],
    )
    def test_energy_saver_holds_back_by_exemption_and_priority(
        self, by_priority: str, *, energy_saver: bool, exempt: bool
    ) -> None:
        """While energy is saved only an exempt app is reached, and not with very low priority (4)."""
        host, app = HostState(energy_saver=energy_saver), AppSettings(exempt_from_energy_saver=exempt)
        verdicts = [judge(host, app, priority) for priority in (1, 2, 3, 4)]
        assert verdicts == [(Gate.PASS if letter == "P" else Gate.HOLD, None) for letter in by_priority]

    @given(hosts(), settings(), priorities())
    def test_the_gates_stand_in_their_order(self, host: HostState, app: AppSettings, priority: int) -> None:
        """Group policy first, then the app's setting, then energy saver; what was decided first is what is told."""
        verdict = judge(host, app, priority)
        if not host.cloud_notifications:
            assert verdict == (Gate.DROP, DropReason.CLOUD_DISABLED)
        elif not app.notifications:
            assert verdict == (Gate.DROP, DropReason.NOTIFICATIONS_DISABLED)
        else:
            assert verdict == judge(HostState(energy_saver=host.energy_saver), evolve(app, background=True), priority)

    @given(hosts(), settings(), priorities())
    def test_a_reason_is_told_exactly_when_a_payload_is_dropped(
        self, host: HostState, app: AppSettings, priority: int
    ) -> None:
        """What passes or waits has not ended."""
        gate, reason = judge(host, app, priority)
        assert (gate is Gate.DROP) == (reason is not None)


class TestGates:
    """The gates as they stand for each app."""

    @given(hosts(), settings(), priorities())
    def test_each_app_is_judged_by_its_own_settings(self, host: HostState, app: AppSettings, priority: int) -> None:
        """One of which nothing is known is judged by the defaults."""
        gates = Gates(host, {"known": app})
        assert gates.judge("known", priority) == judge(host, app, priority)
        assert gates.judge("unknown", priority) == judge(host, AppSettings(), priority)

    @given(hosts(), settings())
    def test_all_of_an_app_is_held_exactly_when_every_priority_would_be(
        self, host: HostState, app: AppSettings
    ) -> None:
        """Apart from the gates that drop, to hold an app is to hold whatever arrives for it."""
        gates = Gates(evolve(host, cloud_notifications=True), {"a": evolve(app, notifications=True)})
        for name in ("a", "unknown"):
            verdicts = {gates.judge(name, priority)[0] for priority in (1, 2, 3, 4)}
            assert gates.holds(name) == (verdicts == {Gate.HOLD})

    @given(hosts(), settings(), priorities())
    def test_nothing_passes_to_an_app_that_is_held(self, host: HostState, app: AppSettings, priority: int) -> None:
        """Whatever the other gates say."""
        gates = Gates(host, {"a": app})
        assert not (gates.holds("a") and gates.judge("a", priority)[0] is Gate.PASS)

    def test_gates_share_nothing(self) -> None:
        """New gates know of no app and of a machine on which all is well."""
        Gates().settings["a"] = AppSettings(notifications=False)
        assert (Gates().host, Gates().settings) == (HostState(), {})


class TestObstacle:
    """What keeps the background work of an app from beginning and from going on."""

    @given(hosts(), settings())
    def test_it_is_there_where_work_is_not_allowed_or_nothing_passes(self, host: HostState, app: AppSettings) -> None:
        """The gates for payloads, and the user's setting for background work: the same rules, so none contradicts another."""
        passes = any(judge(host, app, priority)[0] is Gate.PASS for priority in (1, 2, 3, 4))
        assert (obstacle(host, app) is None) == (passes and app.background)

    @given(hosts(), hosts(), settings())
    def test_what_comes_while_work_runs_interrupts_it_for_that_reason(
        self, before: HostState, after: HostState, app: AppSettings
    ) -> None:
        """Unless the user logs off, which counts first where energy is to be saved at the same time."""
        came = obstacle(before, app) is None and obstacle(after, app) is not None
        if came and not (before.session_connected and not after.session_connected):
            assert interruption(before, after, app) is obstacle(after, app)


class TestInterruption:
    """Why running work is cancelled by a change of state."""

    @pytest.mark.parametrize(("name", "bad", "reason"), CAUSES, ids=str)
    def test_each_cause_alone(self, name: str, reason: CancellationReason, *, bad: bool) -> None:
        """It interrupts when it comes, not while it lasts, and not when it goes."""
        well, ill = HostState(), evolve(HostState(), **{name: bad})
        assert interruption(well, ill, ANYONE, WORK) is reason
        assert interruption(ill, well, ANYONE, WORK) is None
        if reason is not CancellationReason.CONDITION_LOSS:
            assert interruption(ill, ill, ANYONE, WORK) is None

    @pytest.mark.parametrize("count", range(1, len(CAUSES) + 1))
    def test_the_first_of_several_causes_is_told(self, count: int) -> None:
        """Policy before logging off, before energy saver, before quiet hours, before the loss of a condition."""
        for causes in combinations(CAUSES, count):
            changes: dict[str, Any] = {name: bad for name, bad, _ in causes}
            reasons = [reason for _, _, reason in causes]
            after = evolve(HostState(), **changes)
            assert interruption(HostState(), after, ANYONE, WORK) is reasons[0]
            others = [reason for reason in reasons if reason is not CancellationReason.ENERGY_SAVER]
            assert interruption(HostState(), after, EXEMPT, WORK) is next(iter(others), None)

    @pytest.mark.parametrize("lost", REAL, ids=lambda condition: condition.name)
    def test_any_condition_may_be_lost(self, lost: SystemConditionType) -> None:
        """Each cancels the work that asked for it, and only that work."""
        before = evolve(HostState(session_connected=False), **HOLDS_WHEN[lost])
        for name, value in HOLDS_WHEN[lost].items():
            after = evolve(before, **{name: not value})
            assert interruption(before, after, ANYONE, [int(lost)]) in {
                CancellationReason.CONDITION_LOSS,
                CancellationReason.LOGGING_OFF,
            }
            assert interruption(before, after, ANYONE) is not CancellationReason.CONDITION_LOSS

    @given(hosts(), settings(), st.lists(st.sampled_from(REAL)))
    def test_nothing_is_interrupted_when_nothing_changes(
        self, host: HostState, app: AppSettings, conditions: list[SystemConditionType]
    ) -> None:
        """However bad it is: what runs has begun in spite of it."""
        met = [condition for condition in conditions if host.meets(condition)]
        assert interruption(host, host, app, met) is None

    @given(hosts(), settings(), st.sets(st.sampled_from(CAUSES)))
    def test_nothing_is_interrupted_when_it_only_gets_better(
        self, host: HostState, app: AppSettings, causes: set[tuple[str, bool, CancellationReason]]
    ) -> None:
        """A cause that goes away cancels nothing."""
        better = evolve(host, **{name: not bad for name, bad, _ in causes})
        assert interruption(host, better, app) is None

    @given(hosts(), hosts(), settings())
    def test_what_work_did_not_ask_for_is_not_lost(self, before: HostState, after: HostState, app: AppSettings) -> None:
        """Without conditions, neither the user, the network nor the cost of work cancels anything."""
        same = evolve(
            after,
            cloud_notifications=before.cloud_notifications,
            session_connected=before.session_connected,
            energy_saver=before.energy_saver,
            quiet_hours=before.quiet_hours,
        )
        assert interruption(before, same, app) is None

    def test_a_condition_that_did_not_hold_before_is_not_lost(self) -> None:
        """An app that registers other conditions while its work runs does not lose it to an unrelated change."""
        before, after = HostState(quiet_hours=True), HostState()
        assert interruption(before, after, ANYONE, [C.USER_NOT_PRESENT]) is None


@given(st.lists(st.text("ab🔔", min_size=1, max_size=3), max_size=20))
def test_exemptions_are_a_set_in_order(wanted: list[str]) -> None:
    """In whatever order, and however often, they come."""
    assert exemptions(wanted) == tuple(sorted(set(wanted)))


@pytest.mark.parametrize(("length", "room"), [(1, MAX_EXEMPT), (128, MAX_EXEMPT_BYTES // 512)])
def test_one_exemption_too_many_is_refused(length: int, room: int) -> None:
    """By number, and by the bytes of the names; those that there are may be decided anew, and make room."""
    names = [chr(0x1F000 + number) * length for number in range(room + 1)]
    exempt = exemptions(names)
    assert exempt == tuple(names[:-1])
    with pytest.raises(IllegalCall, match=f"^{room} apps are exempt from energy saver on this device"):
        check_exemption(exempt, names[-1])
    check_exemption(exempt, names[0])
    check_exemption(exempt[1:], names[-1])
