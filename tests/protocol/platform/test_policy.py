"""The group policy: what it forbids, of whom, and that it stands above what users decide."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.platform.conditions import OF_USER, AppSettings, HostState
from tocsin.protocol.platform.policy import DAY, NO_POLICY, AppRules, Policy, QuietHours

MINUTES = st.integers(0, DAY - 1)
QUIET = st.builds(QuietHours, MINUTES, MINUTES)
SETTINGS = st.builds(AppSettings, **dict.fromkeys(OF_USER, st.booleans()))


@given(QUIET, MINUTES)
def test_quiet_hours_change_when_they_say(quiet: QuietHours, minute: int) -> None:
    """Not before: over midnight, too; those that end when they begin are none."""
    wait = quiet.minutes_to_change(minute)
    assert 1 <= wait <= DAY
    states = {quiet.at((minute + each) % DAY) for each in range(wait)}
    assert len(states) == 1
    if quiet.begin != quiet.end:
        assert quiet.at((minute + wait) % DAY) not in states
    else:
        assert states == {False}


@pytest.mark.parametrize(
    ("minute", "within"), [(22 * 60 - 1, False), (22 * 60, True), (0, True), (7 * 60 - 1, True), (7 * 60, False)]
)
def test_quiet_hours_go_over_midnight(minute: int, within: bool) -> None:
    """From ten in the evening to seven in the morning."""
    assert QuietHours(22 * 60, 7 * 60).at(minute) == within


@given(st.builds(HostState), SETTINGS)
def test_no_policy_forbids_nothing(host: HostState, settings: AppSettings) -> None:
    """All is as it is without."""
    assert NO_POLICY.on(host, 0) == host
    assert NO_POLICY.rules_of("mail").on(settings) == settings


@pytest.mark.parametrize("name", ["cloud_notifications", "toasts", "tiles", "badges"])
def test_what_is_forbidden_for_all_is_off(name: str) -> None:
    """And nothing else; what was off already stays off under a policy that allows it."""
    assert Policy(**{name: False}).on(HostState(), 0) == evolve(HostState(), **{name: False})  # type: ignore[arg-type]  # a flag's name
    off = evolve(HostState(), **{name: False})
    assert NO_POLICY.on(off, 0) == off


def test_quiet_hours_of_the_policy_count_instead_of_the_users() -> None:
    """Both ways."""
    policy = Policy(quiet_hours=QuietHours(60, 120))
    for of_user in (False, True):
        host = HostState(quiet_hours=of_user)
        assert policy.on(host, 60).quiet_hours
        assert not policy.on(host, 120).quiet_hours


@pytest.mark.parametrize("name", OF_USER)
@pytest.mark.parametrize("value", [False, True])
@given(settings=SETTINGS)
def test_a_rule_counts_instead_of_what_the_user_decided(name: str, value: bool, settings: AppSettings) -> None:
    """In that respect alone; that the policy has closed it, and not the user, can be seen."""
    rules = AppRules(**{name: value})
    ruled = rules.on(settings)
    assert getattr(ruled, name) == value
    assert all(getattr(ruled, other) == getattr(settings, other) for other in OF_USER if other != name)
    assert ruled.by_policy == (name in {"notifications", "toasts"} and not value)
