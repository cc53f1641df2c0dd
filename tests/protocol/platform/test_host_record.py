"""The record of the machine and the user's settings: changes of different fields never undo each other."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve, fields
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tocsin.protocol.errors import IllegalCall, InvalidArgument
from tocsin.protocol.platform.conditions import OF_USER, AppSettings, HostState
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.power import MAX_EXEMPT, PLUGGED_IN, Power

HOST_FIELDS, SETTINGS = [each.name for each in fields(HostState)], list[str](OF_USER)


def changes_of(names: Sequence[str]) -> st.SearchStrategy[list[dict[str, bool]]]:
    """Changes of some of these fields each."""
    return st.lists(st.dictionaries(st.sampled_from(names), st.booleans()), max_size=5)


@given(changes_of(HOST_FIELDS))
def test_each_field_of_the_machine_is_as_it_was_last_set(changes: list[dict[str, bool]]) -> None:
    """A change touches the fields that it names, and nothing else."""
    record, expected = HostRecord(), dict[str, bool]()
    for change in changes:
        record, expected = record.change_host(change), expected | change
    assert record == HostRecord(said=expected)
    assert record.host == evolve(HostState(), **expected)


@given(changes_of(SETTINGS), changes_of(SETTINGS))
def test_each_app_has_settings_of_its_own(a: list[dict[str, bool]], b: list[dict[str, bool]]) -> None:
    """What is decided for one leaves the other alone; those that are exempt are the exempt of the power state."""
    record, expected = HostRecord(), {"a": dict[str, bool](), "b": dict[str, bool]()}
    for app, change in [*(("a", each) for each in a), *(("b", each) for each in b)]:
        record = record.change_settings(app, change)
        expected[app] |= change
    for app in ("a", "b"):
        assert record.settings_of(app) == evolve(AppSettings(), **expected[app])
    exempt = tuple(app for app in ("a", "b") if expected[app].get("exempt_from_energy_saver"))
    assert record.power == Power(exempt=exempt)


def test_energy_saver_is_the_power_states_battery_saver() -> None:
    """Beside whether the screen is on; all else of the machine is nothing to the service."""
    assert HostRecord().change_host({"screen_on_or_plugged": False}).power == Power(screen_on_or_plugged=False)
    assert HostRecord().power == PLUGGED_IN
    assert HostRecord().change_host({"energy_saver": True}).power == Power(battery_saver=True)
    assert HostRecord().change_host({"quiet_hours": True}).power == PLUGGED_IN


@given(strategies.app_names())
def test_an_app_of_which_nothing_was_said_has_the_defaults(app: str) -> None:
    """And looking leaves no trace."""
    record = HostRecord()
    assert record.settings_of(app) == AppSettings()
    assert record.apps == frozenset()


def test_what_cannot_be_is_refused() -> None:
    """A field that does not exist is named; an app too many is not exempt."""
    record = HostRecord()
    with pytest.raises(InvalidArgument, match="moon_phase"):
        record.change_host({"moon_phase": True})
    with pytest.raises(InvalidArgument, match="colour"):
        record.change_settings("a", {"colour": True})
    for number in range(MAX_EXEMPT):
        record = record.change_settings(f"app {number}", {"exempt_from_energy_saver": True})
    with pytest.raises(IllegalCall, match="256 apps are exempt"):
        record.change_settings("a", {"exempt_from_energy_saver": True})
