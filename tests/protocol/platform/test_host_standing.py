"""What is said of a machine from outside: each field has one origin, and what is missing is named."""

from __future__ import annotations

from attrs import asdict, fields
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.platform.conditions import HostState
from tocsin.protocol.platform.host_facts import HostFacts, merged
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.host_standing import ALL_FACTS, FROM_FACTS, SensorStanding, host_report
from tocsin.protocol.platform.policy import Policy

perhaps = st.none() | st.booleans()
facts = st.builds(HostFacts, *[perhaps] * len(ALL_FACTS))
said = st.dictionaries(st.sampled_from([each.name for each in fields(HostState)]), st.booleans())


@given(st.lists(facts, max_size=3), said)
def test_each_field_comes_from_one_place(told: list[HostFacts], by_apps: dict[str, bool]) -> None:
    """From sensors, else from apps, else it is assumed; all of them together are the state that counts."""
    record = HostRecord(facts=merged(told), said=by_apps)
    report = host_report([SensorStanding(str(number), "", each) for number, each in enumerate(told)], record)
    origins = [report[each].keys() for each in ("told", "said", "assumed")]
    assert sum(map(len, origins)) == len(set().union(*origins))
    assert set().union(*origins) >= set(FROM_FACTS)
    assert report["told"] | report["said"] | report["assumed"] == {
        name: value for name, value in asdict(record.host).items() if name in set().union(*origins)
    }
    assert report["state"] == asdict(record.host)
    known = {name for each in report["sensors"] for name in each["tells"]}
    assert sorted(report["unknown"]) == sorted(set(ALL_FACTS) - known)


def test_a_machine_without_sensors_is_taken_to_be_well() -> None:
    """All is unknown, and what is assumed is the default of each field; policy counts nevertheless."""
    report = host_report([], HostRecord(policy=Policy(toasts=False)))
    assert report["sensors"] == []
    assert report["unknown"] == list(ALL_FACTS)
    assert report["assumed"] == {name: getattr(HostState(), name) for name in FROM_FACTS}
    assert report["state"] == asdict(HostState(toasts=False))
    assert set(FROM_FACTS) == {
        "user_present", "internet_available", "session_connected", "free_network_available",
        "background_work_cost_high", "energy_saver", "screen_on_or_plugged",
    }  # fmt: skip


def test_a_sensor_is_shown_with_what_it_tells() -> None:
    """And what it does not know is left out."""
    report = host_report(
        [SensorStanding("a", "a bus", HostFacts(metered=True)), SensorStanding("b", "no bus", HostFacts())],
        HostRecord(facts=HostFacts(metered=True), said={"quiet_hours": True, "free_network_available": True}),
    )
    assert report["sensors"] == [
        {"name": "a", "standing": "a bus", "tells": {"metered": True}},
        {"name": "b", "standing": "no bus", "tells": {}},
    ]
    assert (report["told"], report["said"]) == ({"free_network_available": False}, {"quiet_hours": True})
