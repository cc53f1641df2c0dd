"""From what sensors know to what becomes of a payload: priority by power state by exemption, at the service and on the device."""

from __future__ import annotations

from itertools import product

import pytest
from attrs import asdict, evolve, fields
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.platform.conditions import AppSettings, Gate, HostState, judge
from tocsin.protocol.platform.host_facts import HostFacts
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.policy import DAY, AppRules, Policy, QuietHours
from tocsin.protocol.platform.power import Passage, passage
from tocsin.protocol.values import DropReason
from tocsin.testing.played_host import WELL

LETTERS = {Passage.DELIVER: "D", Passage.BATCH: "B", Passage.CACHE: "C", Gate.PASS: "P", Gate.HOLD: "H", Gate.DROP: "X"}

MACHINES = {
    "plugged in": WELL,
    "plugged in, locked": evolve(WELL, user_present=False),
    "on battery, in use": evolve(WELL, on_battery=True),
    "on battery, locked": evolve(WELL, on_battery=True, user_present=False),
    "battery low": evolve(WELL, on_battery=True, battery_low=True),
    "battery low, locked": evolve(WELL, on_battery=True, battery_low=True, user_present=False),
    "power saver": evolve(WELL, power_saver=True),
    "power saver, on battery, locked": evolve(WELL, on_battery=True, power_saver=True, user_present=False),
    "nothing is known": HostFacts(),
    "on battery, presence unknown": HostFacts(on_battery=True),
    "power saver, battery unknown": HostFacts(power_saver=True),
    "no power saver, battery unknown": HostFacts(power_saver=False),
}

ROWS = [
    # the machine; not exempt: what the service does, what the device would; exempt: likewise; high to very low
    ("plugged in", "DDDD", "PPPP", "DDDD", "PPPP"),
    ("plugged in, locked", "DDDD", "PPPP", "DDDD", "PPPP"),
    ("on battery, in use", "DDDD", "PPPP", "DDDD", "PPPP"),
    ("on battery, locked", "DBCC", "PPPP", "DDDC", "PPPP"),
    ("battery low", "CCCC", "HHHH", "DDDC", "PPPH"),
    ("battery low, locked", "CCCC", "HHHH", "DDDC", "PPPH"),
    ("power saver", "CCCC", "HHHH", "DDDC", "PPPH"),
    ("power saver, on battery, locked", "CCCC", "HHHH", "DDDC", "PPPH"),
    ("nothing is known", "DDDD", "PPPP", "DDDD", "PPPP"),
    ("on battery, presence unknown", "DDDD", "PPPP", "DDDD", "PPPP"),
    ("power saver, battery unknown", "CCCC", "HHHH", "DDDC", "PPPH"),
    ("no power saver, battery unknown", "DDDD", "PPPP", "DDDD", "PPPP"),
]

EXEMPT = {"exempt_from_energy_saver": True}
WAYS_TO_BE_EXEMPT = {
    "by its user": HostRecord(decided={"app": AppSettings(**EXEMPT)}),
    "by policy": HostRecord(policy=Policy(apps={"app": AppRules(**EXEMPT)})),
}
facts = st.builds(HostFacts, *[st.none() | st.booleans()] * len(fields(HostFacts)))


def at_the_service(record: HostRecord) -> str:
    """Return what the service does with each priority."""
    return "".join(LETTERS[passage(record.power, "app", priority)] for priority in (1, 2, 3, 4))


def on_the_device(record: HostRecord) -> str:
    """Return what the device does with each priority."""
    verdicts = [judge(record.host, record.settings_of("app"), priority) for priority in (1, 2, 3, 4)]
    return "".join(LETTERS[gate] for gate, _ in verdicts)


@pytest.mark.parametrize(
    ("machine", "sent", "taken", "sent_exempt", "taken_exempt"), ROWS, ids=[row[0] for row in ROWS]
)
def test_priority_by_power_state_by_exemption(
    machine: str, sent: str, taken: str, sent_exempt: str, taken_exempt: str
) -> None:
    """Facts 1.6, from what sensors know; it is all the same by which way an app is exempt."""
    record = HostRecord(facts=MACHINES[machine])
    assert (at_the_service(record), on_the_device(record)) == (sent, taken)
    for way, exempt in WAYS_TO_BE_EXEMPT.items():
        record = evolve(exempt, facts=MACHINES[machine])
        assert (at_the_service(record), on_the_device(record)) == (sent_exempt, taken_exempt), way


def test_every_machine_has_its_row() -> None:
    """And no row is there twice."""
    assert sorted(row[0] for row in ROWS) == sorted(MACHINES)


@given(facts, st.booleans(), st.integers(1, 4))
def test_what_the_service_delivers_is_not_held_on_the_device(told: HostFacts, exempt: bool, priority: int) -> None:
    """What has to wait waits at the service: nothing goes over the network only to lie in the inbox."""
    record = HostRecord(facts=told, decided={"app": AppSettings(exempt_from_energy_saver=exempt)})
    if passage(record.power, "app", priority) is Passage.DELIVER:
        assert judge(record.host, record.settings_of("app"), priority)[0] is Gate.PASS


@pytest.mark.parametrize("closed", list(product([False, True], repeat=3)))
def test_policy_comes_before_the_user_and_the_user_before_energy(closed: tuple[bool, bool, bool]) -> None:
    """The first gate that is closed is what is told, by whatever closes it."""
    policy, user, energy = closed
    reason = DropReason.CLOUD_DISABLED if policy else DropReason.NOTIFICATIONS_DISABLED if user else None
    gate = Gate.DROP if reason else Gate.HOLD if energy else Gate.PASS
    told, off = HostFacts(power_saver=energy), Policy(cloud_notifications=not policy)
    for record in (
        HostRecord(facts=told, policy=off, decided={"app": AppSettings(notifications=not user)}),
        HostRecord(facts=told, policy=evolve(off, apps={"app": AppRules(notifications=not user)})),
        HostRecord(
            said={"energy_saver": energy, "cloud_notifications": not policy},
            decided={"app": AppSettings(notifications=not user)},
        ),
    ):
        assert judge(record.host, record.settings_of("app"), 3) == (gate, reason)


KEYS = [
    # a policy, and the fields of the machine's state, or the settings of an app, that it decides
    (Policy(cloud_notifications=False), {"cloud_notifications": False}, {}),
    (Policy(toasts=False), {"toasts": False}, {}),
    (Policy(tiles=False), {"tiles": False}, {}),
    (Policy(badges=False), {"badges": False}, {}),
    (Policy(quiet_hours=QuietHours(0, DAY)), {"quiet_hours": True}, {}),
    (Policy(daily_data=1), {}, {}),
    (Policy(daily_metered_data=1), {}, {}),
    (Policy(apps={"app": AppRules(notifications=False)}), {}, {"notifications": False, "by_policy": True}),
    (Policy(apps={"app": AppRules(background=False)}), {}, {"background": False}),
    (Policy(apps={"app": AppRules(toasts=False)}), {}, {"toasts": False, "by_policy": True}),
    (Policy(apps={"app": AppRules(tiles=False)}), {}, {"tiles": False}),
    (Policy(apps={"app": AppRules(badges=False)}), {}, {"badges": False}),
    (Policy(apps={"app": AppRules(exempt_from_energy_saver=True)}), {}, EXEMPT),
    (Policy(apps={"other": AppRules(notifications=False)}), {}, {}),
]


@pytest.mark.parametrize(("policy", "host", "settings"), KEYS, ids=[str(number) for number in range(len(KEYS))])
def test_each_key_of_policy_decides_what_it_is_named_for(
    policy: Policy, host: dict[str, bool], settings: dict[str, bool]
) -> None:
    """And nothing else: budgets count once data is counted, and then for background work only."""
    record = HostRecord(policy=policy)
    assert record.host == HostState(**host)
    assert record.settings_of("app") == AppSettings(**settings)
    assert evolve(record, over_budget=frozenset({"app"})).settings_of("app") == AppSettings(
        **settings, within_budget=False
    )


def test_no_key_of_policy_is_left_out() -> None:
    """Each is decided by a row of its own; where it comes from decides nothing."""
    of_all = {
        name for policy, _, _ in KEYS for name, value in asdict(policy).items() if value != asdict(Policy())[name]
    }
    rules = [policy.apps["app"] for policy, _, _ in KEYS if "app" in policy.apps]
    of_apps = {name for each in rules for name, value in asdict(each).items() if value is not None}
    assert of_all | {"origins", "overruled"} == {each.name for each in fields(Policy)}
    assert of_apps | {"daily_data", "daily_metered_data"} == {each.name for each in fields(AppRules)}
