"""The policy that counts, of those of several files: the system's first, and a user's only where it is stricter."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.platform.effective_policy import effective_policy
from tocsin.protocol.platform.policy import AppRules, Policy, QuietHours
from tocsin.protocol.platform.policy_text import read_policy

NIGHT, DAY_OFF = '{ begin = "22:00", end = "07:00" }', '{ begin = "09:00", end = "17:00" }'


def policy(system: str, user: str) -> Policy:
    """Return what counts of two files."""
    return effective_policy([("system", read_policy(system)), ("user", read_policy(user))])


@pytest.mark.parametrize(
    ("system", "user", "counts", "origins", "overruled"),
    [
        ("", "", Policy(), {}, 0),
        ("toasts = false", "", Policy(toasts=False), {"toasts": "system"}, 0),
        ("", "toasts = false", Policy(toasts=False), {"toasts": "user"}, 0),
        ("toasts = true", "toasts = false", Policy(toasts=False), {"toasts": "user"}, 0),
        ("toasts = false", "toasts = true", Policy(toasts=False), {"toasts": "system"}, 1),
        ("toasts = false", "toasts = false", Policy(toasts=False), {"toasts": "system"}, 0),
        ('daily_data = "2 kB"', 'daily_data = "1 kB"', Policy(daily_data=1000), {"daily_data": "user"}, 0),
        ('daily_data = "1 kB"', 'daily_data = "2 kB"', Policy(daily_data=1000), {"daily_data": "system"}, 1),
        (f"quiet_hours = {NIGHT}", f"quiet_hours = {DAY_OFF}", Policy(quiet_hours=QuietHours(1320, 420)), {"quiet_hours": "system"}, 1),
        ("[apps.a]\nbackground = false", "[apps.a]\nbackground = true\ntiles = false", Policy(apps={"a": AppRules(background=False, tiles=False)}), {'apps."a".background': "system", 'apps."a".tiles': "user"}, 1),
        ("[apps.a]\nexempt_from_energy_saver = true", "[apps.a]\nexempt_from_energy_saver = false", Policy(apps={"a": AppRules(exempt_from_energy_saver=False)}), {'apps."a".exempt_from_energy_saver': "user"}, 0),
        # A budget of all apps speaks of each: no rule for one lifts it, and a stricter one lowers that of one.
        ('daily_data = "1 kB"', '[apps.a]\ndaily_data = "2 kB"', Policy(daily_data=1000), {"daily_data": "system"}, 1),
        ('daily_data = "2 kB"', '[apps.a]\ndaily_data = "1 kB"', Policy(daily_data=2000, apps={"a": AppRules(daily_data=1000)}), {"daily_data": "system", 'apps."a".daily_data': "user"}, 0),
        ('[apps.a]\ndaily_data = "2 kB"', 'daily_data = "1 kB"', Policy(daily_data=1000, apps={"a": AppRules(daily_data=1000)}), {"daily_data": "user", 'apps."a".daily_data': "user"}, 0),
        ('[apps.a]\ndaily_data = "1 kB"', 'daily_data = "2 kB"', Policy(daily_data=2000, apps={"a": AppRules(daily_data=1000)}), {"daily_data": "user", 'apps."a".daily_data': "system"}, 0),
        # Within one file the rule for an app stands before that for all.
        ('daily_data = "1 kB"\n[apps.a]\ndaily_data = "9 kB"', "", Policy(daily_data=1000, apps={"a": AppRules(daily_data=9000)}), {"daily_data": "system", 'apps."a".daily_data': "system"}, 0),
    ],
)  # fmt: skip
def test_the_first_file_counts_and_the_next_may_be_stricter(
    system: str, user: str, counts: Policy, origins: dict[str, str], overruled: int
) -> None:
    """Key by key, with where each is from; what does not count is told."""
    found = policy(system, user)
    assert found == counts
    assert found.origins == origins
    assert len(found.overruled) == overruled
    assert all(each.startswith("user: ") and "system says" in each for each in found.overruled)


SETTINGS = st.dictionaries(
    st.sampled_from(["cloud_notifications", "toasts", "tiles", "badges"]), st.sampled_from(["true", "false"])
)
RULES = st.dictionaries(
    st.sampled_from(["notifications", "background", "toasts", "exempt_from_energy_saver"]),
    st.sampled_from(["true", "false"]),
)


@given(SETTINGS, RULES, SETTINGS, RULES)
def test_no_user_gets_what_the_system_forbids(
    of_all: dict[str, str], of_app: dict[str, str], users: dict[str, str], users_app: dict[str, str]
) -> None:
    """Whatever both files say: each switch that the system turns off is off."""
    forbidden = [name for name, value in of_all.items() if value == "false"]
    found = policy(_text(of_all, of_app), _text(users, users_app))
    assert not any(getattr(found.on(HostState(), 0), name) for name in forbidden)
    settings = found.rules_of("a").on(evolve(AppSettings(), exempt_from_energy_saver=True))
    assert not any(getattr(settings, name) for name, value in of_app.items() if value == "false")


def _text(of_all: dict[str, str], of_app: dict[str, str]) -> str:
    lines = [f"{name} = {value}" for name, value in of_all.items()]
    return "\n".join([*lines, "[apps.a]", *(f"{name} = {value}" for name, value in of_app.items())])


HELD_BACK = HostState(quiet_hours=True, cloud_notifications=False)


@pytest.mark.parametrize(
    ("text", "minute", "before", "after"),
    [
        ("cloud_notifications = false", 0, HostState(), HostState(cloud_notifications=False)),
        ("cloud_notifications = true", 0, HELD_BACK, HELD_BACK),
        ("toasts = false", 0, HostState(), HostState(toasts=False)),
        ("tiles = false", 0, HostState(), HostState(tiles=False)),
        ("badges = false", 0, HostState(), HostState(badges=False)),
        (f"quiet_hours = {NIGHT}", 1319, HostState(quiet_hours=True), HostState()),
        (f"quiet_hours = {NIGHT}", 1320, HostState(), HostState(quiet_hours=True)),
        (f"quiet_hours = {NIGHT}", 419, HostState(), HostState(quiet_hours=True)),
        (f"quiet_hours = {NIGHT}", 420, HELD_BACK, evolve(HELD_BACK, quiet_hours=False)),
        ('daily_data = "1 kB"\ndaily_metered_data = "1 kB"', 0, HELD_BACK, HELD_BACK),
    ],
)
def test_each_setting_for_all_does_what_it_says(text: str, minute: int, before: HostState, after: HostState) -> None:
    """A switch that is on forbids nothing and allows nothing; quiet hours count instead of the user's."""
    assert policy(text, "").on(before, minute) == after


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("notifications = false", AppSettings(), AppSettings(notifications=False, by_policy=True)),
        ("notifications = true", AppSettings(notifications=False), AppSettings()),
        ("background = false", AppSettings(), AppSettings(background=False)),
        ("toasts = false", AppSettings(), AppSettings(toasts=False, by_policy=True)),
        ("tiles = false", AppSettings(), AppSettings(tiles=False)),
        ("badges = false", AppSettings(), AppSettings(badges=False)),
        ("exempt_from_energy_saver = true", AppSettings(), AppSettings(exempt_from_energy_saver=True)),
        ("exempt_from_energy_saver = false", AppSettings(exempt_from_energy_saver=True), AppSettings()),
        ('daily_data = "1 kB"', AppSettings(tiles=False), AppSettings(tiles=False)),
        ('daily_metered_data = "1 kB"', AppSettings(), AppSettings()),
    ],
)
def test_each_setting_for_an_app_does_what_it_says(rule: str, before: AppSettings, after: AppSettings) -> None:
    """It stands above what the user has decided for that app, and leaves other apps alone."""
    found = policy(f"[apps.a]\n{rule}", "")
    assert found.rules_of("a").on(before) == after
    assert found.rules_of("b").on(before) == before
