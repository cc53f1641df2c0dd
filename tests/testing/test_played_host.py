"""The machine that a test plays: what platforms are told of it, whatever thread plays."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import get_ident
from typing import Any

import anyio
import pytest
from anyio import to_thread

from tocsin import InvalidArgument
from tocsin.host import HostFacts
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.policy import NO_POLICY, AppRules, Policy, QuietHours
from tocsin.testing import PlayedHost, PlayedSensor
from tocsin.testing.played_host import WELL

Play = Callable[[PlayedHost], AbstractContextManager[object]]

PLAYS: list[tuple[Play, dict[str, bool]]] = [
    (lambda host: host.on_battery(), {}),
    (lambda host: host.battery_low(), {"energy_saver": True, "background_work_cost_high": True}),
    (lambda host: host.battery_saver(), {"energy_saver": True, "background_work_cost_high": True}),
    (lambda host: host.locked(), {"user_present": False}),
    (lambda host: host.logged_off(), {"user_present": False, "session_connected": False}),
    (lambda host: host.metered(), {"free_network_available": False}),
    (lambda host: host.offline(), {"internet_available": False}),
    (lambda host: host.quiet_hours(), {"quiet_hours": True}),
    (lambda host: host.policy(cloud_notifications=False), {"cloud_notifications": False}),
    (
        lambda host: host.policy(toasts=False, tiles=False, badges=False),
        dict.fromkeys(("toasts", "tiles", "badges"), False),
    ),
    (lambda host: host.exempt("a"), {}),
]
"""What is played, and what it changes of the state of a machine on which all is well."""


@pytest.mark.parametrize(("play", "changes"), PLAYS)
def test_each_lasts_as_long_as_its_block(play: Play, changes: dict[str, bool]) -> None:
    """It changes what its name says, and nothing else; then all is well again."""
    host = PlayedHost()
    assert host.record.host == HostState()
    with play(host):
        assert host.record.host == HostState(**changes)
        assert host.record != HostRecord(facts=WELL)
    assert host.record == HostRecord(facts=WELL)


def test_several_add_up_and_end_in_any_order() -> None:
    """On battery the screen goes off when it is locked; what began last counts where two say something of the same."""
    host = PlayedHost()
    battery, locked = host.on_battery(), host.locked()
    assert not host.record.power.screen_on_or_plugged
    battery.end()
    assert host.record.host == HostState(user_present=False)
    battery.end()
    with host.policy(toasts=False), host.policy(toasts=True, badges=False):
        assert host.record.host == HostState(user_present=False, badges=False)
    locked.end()
    assert host.record.host == HostState()
    host.battery_saver()
    host.quiet_hours()
    host.restore()
    assert host.record == HostRecord(facts=WELL)


def test_a_policy_has_rules_for_single_apps() -> None:
    """Those of one app add up, those of another are its own."""
    host = PlayedHost()
    host.policy(
        quiet_hours=("22:00", "07:30"), daily_data=5, apps={"a": {"notifications": False, "daily_metered_data": 1}}
    )
    with host.exempt("a"), host.exempt("b"):
        assert host.record.policy == Policy(
            quiet_hours=QuietHours(22 * 60, 7 * 60 + 30),
            daily_data=5,
            apps={
                "a": AppRules(notifications=False, daily_metered_data=1, exempt_from_energy_saver=True),
                "b": AppRules(exempt_from_energy_saver=True),
            },
        )
        assert host.record.power.exempt == ("a", "b")
    assert host.record.settings_of("a") == AppSettings(notifications=False, by_policy=True)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"toasts": 1}, "toasts"),
        ({"daily_data": -1}, "daily_data"),
        ({"quiet_hours": ("22", "07:00")}, 'as "22:00"'),
        ({"quiet_hours": ("22:00", "24:00")}, "the hour"),
        ({"quiet_hours": ("22:60", "07:00")}, "the minute"),
        ({"quiet_hours": ("22:00", 7)}, "a time of the day"),
        ({"apps": {"a": {"colour": True}}}, "no such rule of an app: colour; there are background"),
        ({"apps": {"a": {"tiles": "no"}}}, "'a': tiles"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(policy: dict[str, Any], words: str) -> None:
    """In a sentence, and nothing changes."""
    host = PlayedHost()
    with pytest.raises(InvalidArgument, match=words):
        host.policy(**policy)
    assert host.record.policy == NO_POLICY


def test_a_sensor_tells_facts() -> None:
    """And nothing else."""
    with pytest.raises(InvalidArgument, match="facts"):
        PlayedSensor("battery")  # type: ignore[arg-type]  # the point
    with pytest.raises(InvalidArgument, match="facts"):
        PlayedSensor().tell(None)  # type: ignore[arg-type]  # the point


async def test_all_that_listen_are_told_in_their_own_thread() -> None:
    """At once, whichever thread plays: when a call returns they have heard of it. One that has left hears no more."""
    sensor, heard, here = PlayedSensor(), dict[str, list[HostFacts]](stays=[], leaves=[]), get_ident()

    async def listen(name: str) -> None:
        def tell(facts: HostFacts) -> None:
            assert get_ident() == here
            heard[name].append(facts)

        with scopes[name]:
            await sensor.run(tell)

    scopes = {name: anyio.CancelScope() for name in heard}
    async with anyio.create_task_group() as tasks:
        for name in heard:
            tasks.start_soon(listen, name)
        await anyio.wait_all_tasks_blocked()
        sensor.tell(HostFacts(metered=True))
        assert heard["stays"] == heard["leaves"] == [WELL, HostFacts(metered=True)]
        scopes["leaves"].cancel()
        await anyio.wait_all_tasks_blocked()
        await to_thread.run_sync(sensor.tell, HostFacts())
        assert heard["stays"][2:] == [HostFacts()]
        assert len(heard["leaves"]) == 2
        tasks.cancel_scope.cancel()
    sensor.tell(WELL)  # for no listener
    assert len(heard["stays"]) == 3
