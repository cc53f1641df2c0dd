"""What the daemons say, read as facts: a table of cases."""

from __future__ import annotations

from typing import Any

import pytest

from tocsin.host.readings import Presence, read_network, read_power, read_profile, read_user
from tocsin.protocol.platform.host_facts import HostFacts


@pytest.mark.parametrize(
    ("found", "on_battery", "low"),
    [
        ({"OnBattery": False, "WarningLevel": 1}, False, False),
        ({"OnBattery": False, "WarningLevel": 4}, False, False),
        ({"OnBattery": False}, False, False),
        ({"OnBattery": True, "WarningLevel": 1}, True, False),
        ({"OnBattery": True, "WarningLevel": 2}, True, False),
        ({"OnBattery": True, "WarningLevel": 3}, True, True),
        ({"OnBattery": True, "WarningLevel": 5}, True, True),
        ({"OnBattery": True, "WarningLevel": 0}, True, None),
        ({"OnBattery": True}, True, None),
        ({"WarningLevel": 4}, None, None),
        ({}, None, None),
    ],
)
def test_power(found: dict[str, Any], on_battery: bool | None, low: bool | None) -> None:
    """A battery that is low matters while it runs the machine."""
    assert read_power(found) == HostFacts(on_battery=on_battery, battery_low=low)


@pytest.mark.parametrize(
    ("found", "saver"),
    [
        ({"ActiveProfile": "power-saver"}, True),
        ({"ActiveProfile": "balanced"}, False),
        ({"ActiveProfile": "of a later version"}, False),
        ({"ActiveProfile": ""}, None),
        ({}, None),
    ],
)
def test_profile(found: dict[str, Any], saver: bool | None) -> None:
    """One profile saves power; nothing on the bus is unknown, and not off."""
    assert read_profile(found) == HostFacts(power_saver=saver)


@pytest.mark.parametrize(
    ("found", "internet"),
    [
        ({"Connectivity": 4, "ConnectivityCheckEnabled": True, "State": 70}, True),
        ({"Connectivity": 3, "ConnectivityCheckEnabled": True, "State": 60}, False),
        ({"Connectivity": 2, "ConnectivityCheckEnabled": True, "State": 60}, False),
        ({"Connectivity": 1, "ConnectivityCheckEnabled": True, "State": 20}, False),
        ({"Connectivity": 0, "ConnectivityCheckEnabled": True, "State": 70}, None),
        ({"Connectivity": 0, "ConnectivityCheckEnabled": True, "State": 20}, False),
        ({"Connectivity": 4, "ConnectivityCheckEnabled": False, "State": 70}, None),
        ({"Connectivity": 4, "ConnectivityCheckEnabled": False, "State": 50}, False),
        ({"Connectivity": 4, "State": 10}, False),
        ({"Connectivity": 4, "State": 0}, None),
        ({"Connectivity": 4, "State": 60}, None),
        ({}, None),
    ],
)
def test_internet(found: dict[str, Any], internet: bool | None) -> None:
    """Full connectivity that is not checked is unknown; no network is none, checked or not."""
    assert read_network(found).internet is internet


@pytest.mark.parametrize(
    ("number", "metered"), [(0, None), (1, True), (2, False), (3, True), (4, False), (5, None), (None, None)]
)
def test_metered(number: int | None, metered: bool | None) -> None:
    """Yes and guessed yes, no and guessed no; nothing active is unknown."""
    found = {} if number is None else {"Metered": number}
    assert read_network(found) == HostFacts(metered=metered)


@pytest.mark.parametrize(
    ("state", "connected"),
    [("active", True), ("online", True), ("lingering", False), ("closing", False), ("offline", False), ("", None)],
)
def test_user(state: str, connected: bool | None) -> None:
    """A user whose processes run on is not logged on for that."""
    assert read_user({"State": state}) == HostFacts(session_connected=connected)


SESSION = {"IdleHint": False, "LockedHint": False, "Active": True}


@pytest.mark.parametrize(
    ("found", "present"),
    [
        (SESSION, True),
        (SESSION | {"IdleHint": True}, False),
        (SESSION | {"LockedHint": True}, False),
        (SESSION | {"Active": False}, False),
        ({"IdleHint": False}, True),
        ({"LockedHint": False, "Active": True}, None),
        ({"LockedHint": True}, False),
        ({}, None),
    ],
)
def test_presence(found: dict[str, Any], present: bool | None) -> None:
    """Idle, locked, or behind another user's session: the user is not there."""
    assert Presence().read(found) is present


class TestLock:
    """The signals, where ``LockedHint`` says nothing."""

    def test_lock_and_unlock(self) -> None:
        """A locker that does not tell of itself is heard of by them."""
        presence = Presence()
        presence.hear("Lock")
        assert presence.read(SESSION) is False
        assert presence.read(SESSION) is False
        presence.hear("Unlock")
        assert presence.read(SESSION) is True

    def test_the_hint_ends_what_the_signal_began(self) -> None:
        """A locker that tells when it has unlocked sends no Unlock."""
        presence = Presence()
        presence.hear("Lock")
        assert presence.read(SESSION | {"LockedHint": True}) is False
        assert presence.read(SESSION) is True

    def test_activity_ends_it(self) -> None:
        """A locker that tells nothing at all is left by the user who comes back; one that tells is not."""
        for locked in (False, True):
            presence = Presence()
            presence.hear("Lock")
            assert presence.read(SESSION | {"IdleHint": True, "LockedHint": locked}) is False
            assert presence.read(SESSION | {"LockedHint": locked}) is not locked
