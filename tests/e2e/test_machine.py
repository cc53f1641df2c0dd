"""Sensors against the daemons of a machine: those of dbusmock, and the real ones that start without hardware."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import Any, Final

import anyio
import pytest
from attrs import asdict
from dbus_fast import Variant

import tocsin
from tests.e2e.agents import running_agent
from tests.e2e.desktops.bus import session_bus
from tests.e2e.desktops.processes import first_line, running
from tests.e2e.machine import PROFILES_DAEMON, UPOWERD, Mocked, RealDaemon, lacking, mocked, real
from tests.host.told import Told, telling
from tests.processes import sender
from tests.world import Gathered
from tocsin.host import bus_sensor
from tocsin.host.daemons import daemon_sensors
from tocsin.host.logind import LogindSensor
from tocsin.host.promises import Sensor
from tocsin.host.system_bus import SystemBus
from tocsin.protocol.platform.host_facts import HostFacts

AT_ONCE: Final = 0.1
"""Seconds in which a condition has to flip, mostly: tests that run beside may hold one up."""

UPOWER: Final = "org.freedesktop.UPower"
DISPLAY: Final = "/org/freedesktop/UPower/devices/DisplayDevice"
PROFILES: Final = "net.hadess.PowerProfiles"
NETWORK: Final = "org.freedesktop.NetworkManager"
LOGIN: Final = "org.freedesktop.login1"
SESSION: Final = "/org/freedesktop/login1/session/c1"
UID: Final = 1000


def need(*daemons: RealDaemon, mock: bool = False) -> None:
    """Skip where a daemon is not installed."""
    if packages := lacking(*daemons, mock=mock):
        pytest.skip(f"needs {' '.join(packages)}")


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """Run a bus."""
    need(mock=False)
    async with session_bus(tmp_path) as found:
        yield found


@pytest.fixture(autouse=True)
def grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what has gone be unknown at once."""
    monkeypatch.setattr(bus_sensor, "GRACE", 0.0)


def path_of(name: str) -> str:
    """Return the path of the main object of a daemon."""
    return f"/{name.replace('.', '/')}"


def sensor_of(template: str, bus: SystemBus) -> Sensor:
    """Make the sensor that looks at what a template is of."""
    power, profiles, network = daemon_sensors(bus)
    by_template = {
        "upower": power,
        "power_profiles_daemon": profiles,
        "networkmanager": network,
        "logind": LogindSensor(bus, UID),
    }
    return by_template[template]


async def prepare_network(mock: Mocked) -> None:
    """Add what the template lacks."""
    await mock.add(
        path_of(NETWORK), NETWORK, Metered=Variant("u", 0), ConnectivityCheckEnabled=Variant("b", value=True)
    )


async def prepare_session(mock: Mocked) -> None:
    """Log the user on, as logind says it: the template's GetUser fails for every user, and its users have no display."""
    manager, user = "/org/freedesktop/login1", f"/org/freedesktop/login1/user/{UID}"
    await mock.call(manager, "org.freedesktop.DBus.Mock", "AddSession", "ssusb", ["c1", "seat0", UID, "ann", True])
    answer = ["org.freedesktop.login1.Manager", "GetUser", "u", "o", f"ret = '{user}'"]
    await mock.call(manager, "org.freedesktop.DBus.Mock", "AddMethod", "sssss", answer)
    display = [f"{LOGIN}.User", "Display", Variant("(so)", ["c1", SESSION])]
    await mock.call(user, "org.freedesktop.DBus.Properties", "Set", "ssv", display)


async def prepare_nothing(_: Mocked) -> None:
    """The template has all of it."""


def setting(path: str, interface: str, name: str, signature: str, value: Any) -> tuple[str, str, dict[str, Variant]]:
    """Say what to change."""
    return path, interface, {name: Variant(signature, value)}


def of_network(name: str, value: int) -> tuple[str, str, dict[str, Variant]]:
    """Change NetworkManager."""
    return setting(path_of(NETWORK), NETWORK, name, "u", value)


def of_session(name: str, *, value: bool) -> tuple[str, str, dict[str, Variant]]:
    """Change the session."""
    return setting(SESSION, f"{LOGIN}.Session", name, "b", value)


Changes = list[tuple[tuple[str, str, dict[str, Variant]], str, bool | None]]

CASES: Final[dict[str, tuple[str, Callable[[Mocked], Awaitable[None]], Changes]]] = {
    "upower": (
        UPOWER,
        prepare_nothing,
        [
            (setting(path_of(UPOWER), UPOWER, "OnBattery", "b", value=True), "on_battery", True),
            (setting(DISPLAY, f"{UPOWER}.Device", "WarningLevel", "u", 3), "battery_low", True),
            (setting(DISPLAY, f"{UPOWER}.Device", "WarningLevel", "u", 1), "battery_low", False),
            (setting(path_of(UPOWER), UPOWER, "OnBattery", "b", value=False), "on_battery", False),
        ],
    ),
    "power_profiles_daemon": (
        PROFILES,
        prepare_nothing,
        [
            (setting(path_of(PROFILES), PROFILES, "ActiveProfile", "s", "power-saver"), "power_saver", True),
            (setting(path_of(PROFILES), PROFILES, "ActiveProfile", "s", "performance"), "power_saver", False),
        ],
    ),
    "networkmanager": (
        NETWORK,
        prepare_network,
        [
            (of_network("Connectivity", 4), "internet", True),
            (of_network("Connectivity", 2), "internet", False),
            (of_network("Metered", 3), "metered", True),
            (of_network("Metered", 4), "metered", False),
            (of_network("Metered", 1), "metered", True),
            (of_network("Metered", 0), "metered", None),
        ],
    ),
    "logind": (
        LOGIN,
        prepare_session,
        [
            (of_session("IdleHint", value=True), "user_present", False),
            (of_session("IdleHint", value=False), "user_present", True),
            (of_session("LockedHint", value=True), "user_present", False),
            (of_session("LockedHint", value=False), "user_present", True),
            (
                setting(f"/org/freedesktop/login1/user/{UID}", f"{LOGIN}.User", "State", "s", "closing"),
                "session_connected",
                False,
            ),
        ],
    ),
}


class Stopwatch:
    """Waits for what a sensor should tell, and measures for how long."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self.seconds: list[float] = []

    async def until(self, fact: str, value: bool | None) -> None:
        """Wait until a fact is as it should be."""
        began = time.perf_counter()
        await self._told.until(lambda facts: getattr(facts, fact) is value)
        self.seconds.append(time.perf_counter() - began)

    def check(self) -> None:
        """Assert that it took no time to speak of."""
        assert median(self.seconds) < AT_ONCE, self.seconds


@pytest.mark.parametrize("template", CASES)
async def test_each_condition_flips_at_once(template: str, address: str, tmp_path: Path) -> None:
    """As its daemon tells of the change; and a daemon that goes takes with it what it has said, until it comes back."""
    need(mock=True)
    name, prepare, changes = CASES[template]
    async with telling(sensor_of(template, SystemBus(address))) as told:
        watch = Stopwatch(told)
        assert await told.until_told(1) == HostFacts()
        for _ in range(2):
            async with mocked(address, template, name, tmp_path) as mock:
                await prepare(mock)
                for (path, interface, properties), fact, value in changes:
                    await mock.set(path, interface, **properties)
                    await watch.until(fact, value)
            began = time.perf_counter()
            await told.until(lambda facts: facts == HostFacts())
            watch.seconds.append(time.perf_counter() - began)
        watch.check()


async def test_a_session_is_locked_by_signals(address: str, tmp_path: Path) -> None:
    """Where no locker answers, only they say it."""
    need(mock=True)
    async with (
        mocked(address, "logind", LOGIN, tmp_path) as mock,
        telling(LogindSensor(SystemBus(address), UID)) as told,
    ):
        watch = Stopwatch(told)
        await prepare_session(mock)
        logged_on = [f"{LOGIN}.Manager", "UserNew", "uo", [Variant("u", UID), Variant("o", "/x")]]
        await mock.call("/org/freedesktop/login1", "org.freedesktop.DBus.Mock", "EmitSignal", "sssav", logged_on)
        await watch.until("user_present", value=True)
        for member, present in (("Lock", False), ("Unlock", True)):
            await mock.call(SESSION, f"{LOGIN}.Session", member, "", [])
            await watch.until("user_present", present)
        watch.check()


async def test_the_real_upower(address: str, tmp_path: Path) -> None:
    """Without a battery it says that the machine runs on none; it goes, and comes back."""
    need(UPOWERD)
    async with telling(sensor_of("upower", SystemBus(address))) as told:
        watch = Stopwatch(told)
        await told.until_told(1)
        for _ in range(2):
            async with real(address, UPOWERD, tmp_path):
                await watch.until("on_battery", value=False)
                assert told.facts[-1] == HostFacts(on_battery=False, battery_low=False)
                assert told.sensor.standing == f"{UPOWER} on the system bus"
            await watch.until("on_battery", None)
        watch.check()


async def test_the_real_power_profiles(address: str, tmp_path: Path) -> None:
    """Its profile flips the fact, by the user's choice and by a program's hold; polkit, which allows it, is dbusmock's."""
    need(PROFILES_DAEMON, mock=True)
    polkit, path = "org.freedesktop.PolicyKit1", path_of(PROFILES)
    async with (
        mocked(address, "polkitd", polkit, tmp_path) as allowing,
        telling(sensor_of("power_profiles_daemon", SystemBus(address))) as told,
    ):
        watch = Stopwatch(told)
        authority = "/org/freedesktop/PolicyKit1/Authority"
        await allowing.call(authority, "org.freedesktop.DBus.Mock", "AllowUnknown", "b", [True])
        for _ in range(2):
            async with real(address, PROFILES_DAEMON, tmp_path) as profiles:
                await watch.until("power_saver", value=False)
                for profile, saves in (("power-saver", True), ("balanced", False)):
                    chosen = [PROFILES, "ActiveProfile", Variant("s", profile)]
                    await profiles.call(path, "org.freedesktop.DBus.Properties", "Set", "ssv", chosen)
                    await watch.until("power_saver", saves)
                held = ["power-saver", "tests", "tocsin"]
                (cookie,) = await profiles.call(path, PROFILES, "HoldProfile", "sss", held)
                await watch.until("power_saver", value=True)
                await profiles.call(path, PROFILES, "ReleaseProfile", "u", [cookie])
                await watch.until("power_saver", value=False)
            await watch.until("power_saver", None)
        watch.check()


async def until_host(manager: tocsin.PushNotificationManager, **fields: bool) -> None:
    """Wait until the machine's state is as it should be, as an app sees it."""
    with anyio.fail_after(5):
        while any(getattr(manager.conditions.host, name) is not value for name, value in fields.items()):  # noqa: ASYNC110
            await anyio.sleep(0.001)  # an app sees the state, and is not woken for it


async def test_an_app_sees_the_machine(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By default, in its conditions; what a sensor knows it cannot overwrite, what none knows it can."""
    need(mock=True)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    async with mocked(address, "upower", UPOWER, tmp_path) as mock:
        async with tocsin.embedded("contoso.mail", tmp_path / "state") as manager:
            assert manager.conditions.host.screen_on_or_plugged
            await mock.set(path_of(UPOWER), UPOWER, OnBattery=Variant("b", value=True))
            await mock.set(DISPLAY, f"{UPOWER}.Device", WarningLevel=Variant("u", 4))
            await until_host(manager, energy_saver=True, background_work_cost_high=True)
            with pytest.raises(tocsin.IllegalCall, match="energy_saver: this machine tells that itself"):
                await manager.conditions.set_host(energy_saver=False)
            await manager.conditions.set_host(user_present=False)
            await until_host(manager, user_present=False, screen_on_or_plugged=True)
        async with tocsin.embedded("contoso.mail", tmp_path / "state", sensors=()) as manager:
            assert not manager.conditions.host.energy_saver


@pytest.mark.skipif(sys.platform == "win32", reason="the agent runs on POSIX systems only")
async def test_what_is_pushed_while_an_agent_saves_power_waits(address: str, tmp_path: Path) -> None:
    """The agent's sensors hold it back, and it comes when the machine is plugged in."""
    need(mock=True)
    seen = Gathered()

    def handle(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        seen.add(args.payload)

    async with mocked(address, "upower", UPOWER, tmp_path) as mock:
        await mock.set(DISPLAY, f"{UPOWER}.Device", WarningLevel=Variant("u", 4))
        with running_agent(tmp_path, environment={"DBUS_SYSTEM_BUS_ADDRESS": address}) as agent:
            async with tocsin.connect("contoso.mail", agent.socket, command=("/bin/true",)) as manager:
                assert manager.registration is not None
                channel = (await manager.create_channel(manager.registration.remote_id)).channel
                assert channel is not None
                with channel.push_received(handle):
                    await mock.set(path_of(UPOWER), UPOWER, OnBattery=Variant("b", value=True))
                    await until_host(manager, energy_saver=True)
                    async with sender({"uri": channel.uri} | asdict(manager.registration)) as server:
                        status, headers = await server.push(b"low", X_WNS_Priority="3")
                        assert (status, headers["x-wns-status"]) == (200, "received")
                    await anyio.sleep(0.2)
                    assert seen.items == []
                    await mock.set(path_of(UPOWER), UPOWER, OnBattery=Variant("b", value=False))
                    await seen.wait_for(1)
    assert seen.items == [b"low"]


_ASLEEP: Final = """
import anyio
from tocsin.host.default_sensors import default_sensors

async def main():
    told = set()
    async with anyio.create_task_group() as tasks:
        for sensor in default_sensors():
            tasks.start_soon(sensor.run, lambda facts, name=sensor.name: told.add(name))
        while len(told) < len(default_sensors()):
            await anyio.sleep(0.01)
        print("told", flush=True)

anyio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's count of wake-ups is Linux's")
@pytest.mark.parametrize("has_bus", [True, False])
async def test_while_nothing_changes_nothing_runs(has_bus: bool, address: str, tmp_path: Path) -> None:
    """Not a single wake-up in a second and a half, with daemons on a bus and without a bus."""
    need(UPOWERD)
    where = address if has_bus else "unix:path=/nonexistent/bus"
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": where}
    async with (
        real(address, UPOWERD, tmp_path),
        running([sys.executable, "-c", _ASLEEP], environment, tmp_path / "log") as process,
    ):
        assert await first_line(process, tmp_path / "log") == "told"
        await anyio.sleep(0.5)
        before, began = wakes(process.pid), time.monotonic()
        await anyio.sleep(1.5)
        assert time.monotonic() - began > 1
        assert wakes(process.pid) == before


def wakes(pid: int) -> int:
    """Count how often a process has gone to sleep, in all its threads."""
    lines = [
        line
        for status in Path(f"/proc/{pid}/task").glob("*/status")
        for line in status.read_text(encoding="ascii").splitlines()
        if line.startswith("voluntary_ctxt_switches:")
    ]
    assert lines
    return sum(int(line.split()[1]) for line in lines)
