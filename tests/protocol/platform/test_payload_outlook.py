"""What a payload would meet: each gate by itself, and all in their order."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.platform.conditions import AppSettings, Gate, HostState, judge
from tocsin.protocol.platform.payload_outlook import USUAL_PRIORITIES, Outlook, Passing, payload_outlook
from tocsin.protocol.platform.power import Passage, Power, passage
from tocsin.protocol.service.wns import _DEFAULTS
from tocsin.protocol.values import WNS_TYPES, NotificationType

RAW, TOAST, TILE, BADGE = NotificationType.RAW, NotificationType.TOAST, NotificationType.TILE, NotificationType.BADGE
ON, USED_UP = AppSettings(), AppSettings(within_budget=False)
SAVER = HostState(energy_saver=True)


def look(
    host: HostState = HostState(),  # noqa: B008  # it is frozen
    settings: AppSettings = ON,
    kind: NotificationType = RAW,
    priority: int | None = None,
    **origins: str,
) -> Outlook:
    """Look at a payload of the app ``a``; the service has been told how the machine stands."""
    exempt = ("a",) if settings.exempt_from_energy_saver else ()
    power = Power(host.screen_on_or_plugged, host.energy_saver, exempt)
    given_ = USUAL_PRIORITIES[kind] if priority is None else priority
    return payload_outlook(host, settings, power, {f'apps."a".{k}': v for k, v in origins.items()}, "a", kind, given_)


def off(settings: AppSettings, **changes: Any) -> AppSettings:
    """Change settings."""
    return evolve(settings, **changes)


@pytest.mark.parametrize(
    ("host", "settings", "kind", "gate", "passing", "why"),
    [
        (HostState(cloud_notifications=False), ON, RAW, "cloud notifications", "dropped", "has switched off notifications from the network"),
        (HostState(), AppSettings(notifications=False), RAW, "notifications", "dropped", "the user has switched off the notifications of this app"),
        (HostState(notifications=False), ON, TOAST, "notifications", "dropped", "of all apps"),
        (HostState(toasts=False), ON, TOAST, "type", "dropped", "group policy has switched off toasts"),
        (HostState(tiles=False), ON, TILE, "type", "dropped", "switched off tiles"),
        (HostState(badges=False), ON, BADGE, "type", "dropped", "switched off badges"),
        (HostState(), AppSettings(toasts=False), TOAST, "type", "dropped", "the user has switched off toasts of this app"),
        (HostState(), AppSettings(tiles=False), TILE, "type", "dropped", "tiles of this app"),
        (HostState(), AppSettings(badges=False), BADGE, "type", "dropped", "badges of this app"),
        (SAVER, ON, TOAST, "energy and priority", "waits", "in energy saver, priority 1 (high) waits at the push service until energy saver ends"),
        (HostState(screen_on_or_plugged=False), ON, RAW, "energy and priority", "waits", "on battery with the screen off, priority 3 (low) waits"),
        (HostState(screen_on_or_plugged=False), ON, TILE, "energy and priority", "waits", "priority 2 (medium) waits at the push service for others, 60 s at most"),
        (HostState(), AppSettings(background=False), RAW, "background work", "waits", "the user has forbidden background work"),
        (HostState(), USED_UP, RAW, "data budget", "waits", "used up its data of today"),
        (HostState(quiet_hours=True), ON, TOAST, "quiet hours", "waits", "it is shown when they end"),
    ],
)  # fmt: skip
def test_each_gate_stops_what_it_is_for(  # noqa: PLR0917  # a table
    host: HostState, settings: AppSettings, kind: NotificationType, gate: str, passing: str, why: str
) -> None:
    """And is the only one that does, in a machine where all else is well."""
    outlook = look(host, settings, kind)
    (stop,) = [each for each in outlook.gates if each.passing is not Passing.PASSES]
    assert (stop.gate, stop.passing) == (gate, passing)
    assert why in stop.why
    assert stop.why in outlook.meets


@pytest.mark.parametrize("kind", WNS_TYPES)
def test_where_all_is_well_a_payload_goes_through(kind: NotificationType) -> None:
    """With the usual priority of its type, which is that of WNS."""
    assert look(kind=kind).meets == "it goes through all gates"
    assert USUAL_PRIORITIES[kind] == _DEFAULTS[kind][2]


def test_gates_come_in_their_order() -> None:
    """Policy, the user's settings, the type, energy saver with priority, the foreground, the background, conditions."""
    raw = ["cloud notifications", "notifications", "type", "energy and priority"]
    behind = ["foreground handler", "background work", "data budget", "conditions"]
    assert [each.gate for each in look().gates] == raw + behind
    assert [each.gate for each in look(kind=TOAST).gates] == [*raw, "quiet hours"]
    assert [each.gate for each in look(kind=TILE).gates] == [each.gate for each in look(kind=BADGE).gates] == raw


CLOSED = [
    ("cloud notifications", {"cloud_notifications": False}, {}),
    ("notifications", {}, {"notifications": False}),
    ("energy and priority", {"energy_saver": True}, {}),
    ("background work", {}, {"background": False}),
    ("data budget", {}, {"within_budget": False}),
]


@pytest.mark.parametrize("first", range(len(CLOSED)))
def test_the_first_closed_gate_decides(first: int) -> None:
    """Whatever stands behind it; what is behind the foreground handlers is no matter to these."""
    host, settings = HostState(), AppSettings()
    for _, of_host, of_app in CLOSED[first:]:
        host, settings = evolve(host, **of_host), evolve(settings, **of_app)
    outlook = look(host, settings)
    stop = next(each for each in outlook.gates if each.passing is not Passing.PASSES)
    assert stop.gate == CLOSED[first][0]
    attached = "a handler that is attached gets it; else " if first > 2 else ""
    assert outlook.meets.startswith(f"{attached}it {'waits' if stop.passing is Passing.WAITS else 'is dropped'}: ")


def test_what_the_policy_has_decided_is_told_with_its_file() -> None:
    """Else it is the user's decision."""
    told = look(settings=AppSettings(notifications=False, by_policy=True), notifications="/etc/policy.toml")
    assert told.meets == "it is dropped: /etc/policy.toml has switched off the notifications of this app"


def test_conditions_that_do_not_hold_are_named() -> None:
    """A trigger that wants one of them waits."""
    *_, conditions = look(HostState(internet_available=False)).gates
    assert conditions.passing is Passing.PASSES
    assert "USER_NOT_PRESENT, INTERNET_AVAILABLE, SESSION_DISCONNECTED, FREE_NETWORK_AVAILABLE" in conditions.why


@pytest.mark.parametrize(
    ("saver", "screen_on", "exempt", "priority"),
    list(product([False, True], [False, True], [False, True], [1, 2, 3, 4])),
)
def test_priorities_meet_what_the_service_and_the_device_do(
    saver: bool, screen_on: bool, exempt: bool, priority: int
) -> None:
    """In each power state, for an app that is exempt and for one that is not."""
    host = HostState(energy_saver=saver, screen_on_or_plugged=screen_on)
    settings = AppSettings(exempt_from_energy_saver=exempt)
    energy = look(host, settings, priority=priority).gates[3]
    power = Power(screen_on, saver, ("a",) if exempt else ())
    assert (energy.passing is Passing.WAITS) == (passage(power, "a", priority) is not Passage.DELIVER)
    if judge(host, settings, priority)[0] is Gate.HOLD:
        assert energy.passing is Passing.WAITS
    assert ("exempt" in energy.why) == (energy.passing is Passing.WAITS and exempt)


SWITCHES = st.fixed_dictionaries({name: st.booleans() for name in ("cloud_notifications", "energy_saver", "toasts")})


@given(SWITCHES, st.builds(AppSettings), st.sampled_from([1, 2, 3, 4]))
def test_what_the_device_would_stop_is_told(host: dict[str, bool], settings: AppSettings, priority: int) -> None:
    """Whatever the state: the gates of the platform never stop what this says goes through."""
    outlook = look(HostState(**host), settings, RAW, priority)
    gate, _ = judge(HostState(**host), settings, priority)
    if all(each.passing is Passing.PASSES for each in outlook.gates[:4]):
        assert gate is Gate.PASS
    else:
        assert "it " in outlook.meets
