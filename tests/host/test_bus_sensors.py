"""Sensors on a bus of their own, with daemons that a test plays: what flips, goes, comes back, or says what is no fact."""

from __future__ import annotations

import builtins
import importlib
import logging
import math
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from dbus_fast import Message, Variant

from tests.e2e.desktops.bus import session_bus
from tests.host.fake_service import PROPERTIES, FakeService, Place, b, fake_service, s, u
from tests.host.told import telling
from tocsin import bus_connection
from tocsin.host import bus_sensor
from tocsin.host.bus_sensor import BusSensor
from tocsin.host.daemons import daemon_sensors
from tocsin.host.default_sensors import default_sensors
from tocsin.host.logind import LogindSensor
from tocsin.host.system_bus import SystemBus
from tocsin.protocol.platform.host_facts import HostFacts

pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="needs dbus-daemon")

UPOWER = "org.freedesktop.UPower"
MAIN: Place = ("/org/freedesktop/UPower", UPOWER)
DISPLAY: Place = ("/org/freedesktop/UPower/devices/DisplayDevice", "org.freedesktop.UPower.Device")
PLUGGED = {MAIN: {"OnBattery": b(value=False)}, DISPLAY: {"WarningLevel": u(1)}}

NEW, OLD = "org.freedesktop.UPower.PowerProfiles", "net.hadess.PowerProfiles"
NEW_PLACE: Place = ("/org/freedesktop/UPower/PowerProfiles", NEW)
OLD_PLACE: Place = ("/net/hadess/PowerProfiles", OLD)

LOGIN = "org.freedesktop.login1"
USER: Place = ("/org/freedesktop/login1/user/_42", f"{LOGIN}.User")
SESSION: Place = ("/org/freedesktop/login1/session/_31", f"{LOGIN}.Session")
OTHER: Place = ("/org/freedesktop/login1/session/_32", f"{LOGIN}.Session")
MANAGER: Place = ("/org/freedesktop/login1", f"{LOGIN}.Manager")
AT_WORK = {"IdleHint": b(value=False), "LockedHint": b(value=False), "Active": b(value=True)}
LOGGED_ON = {
    USER: {"State": s("active"), "Display": Variant("(so)", ["1", SESSION[0]])},
    SESSION: AT_WORK,
    OTHER: AT_WORK | {"IdleHint": b(value=True)},
}
UID = 42


@pytest.fixture
def anyio_backend() -> str:
    """Sockets: on asyncio."""
    return "asyncio"


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """Run a bus."""
    async with session_bus(tmp_path) as found:
        yield found


@pytest.fixture(autouse=True)
def grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what has gone be unknown at once."""
    monkeypatch.setattr(bus_sensor, "GRACE", 0.0)


def of_power(address: str | None) -> BusSensor:
    """Make the sensor of UPower."""
    return daemon_sensors(SystemBus(address))[0]


def of_profiles(address: str) -> BusSensor:
    """Make the sensor of the power profiles."""
    return daemon_sensors(SystemBus(address))[1]


def logged_on(service: FakeService) -> None:
    """Let a service know the user."""
    service.methods["GetUser"] = ("o", [USER[0]])


async def test_a_change_is_told_at_once(address: str) -> None:
    """And what is not looked at, or comes from elsewhere, is not asked about."""
    async with fake_service(address, UPOWER, PLUGGED) as upower, telling(of_power(address)) as told:
        assert await told.until_told(1) == HostFacts(on_battery=False, battery_low=False)
        upower.set(MAIN, OnBattery=b(value=True))
        await told.until(lambda facts: facts.on_battery)
        upower.set(DISPLAY, WarningLevel=u(3))
        assert await told.until(lambda facts: facts.battery_low) == HostFacts(on_battery=True, battery_low=True)
        calls = len(upower.calls)
        upower.set(DISPLAY, Percentage=Variant("d", 7.0))
        upower.say(MAIN[0], UPOWER, "DeviceAdded", "o", ["/x"])
        await anyio.sleep(0.03)
        assert len(upower.calls) == calls
        upower.places[MAIN]["OnBattery"] = b(value=False)
        upower.say(MAIN[0], PROPERTIES, "PropertiesChanged", "sa{sv}as", [UPOWER, {}, ["OnBattery"]])
        await told.until(lambda facts: facts.on_battery is False)
        assert len(upower.calls) == calls + 2  # one look at two objects


async def test_what_was_said_while_it_was_asked_is_not_missed(address: str) -> None:
    """A change between the question and its answer leads to another look."""
    async with fake_service(address, UPOWER, PLUGGED) as upower, telling(of_power(address)) as told:
        await told.until_told(1)
        for value in (True, False, True):
            upower.set(MAIN, OnBattery=b(value=value))
        await told.until(lambda facts: facts.on_battery)
        await anyio.sleep(0.02)
        assert told.facts[-1].on_battery


async def test_a_daemon_may_come_go_and_come_back(address: str) -> None:
    """While it is not there, what it knew is unknown; one that has gone is not called, which would start it."""
    async with telling(of_power(address)) as told:
        assert await told.until_told(1) == HostFacts()
        assert told.sensor.standing == "org.freedesktop.UPower is not on the system bus"
        for _ in range(2):
            async with fake_service(address, UPOWER, PLUGGED):
                await told.until(lambda facts: facts.on_battery is False)
                assert told.sensor.standing == "org.freedesktop.UPower on the system bus"
                assert not told.sensor.is_polled
            assert await told.until(lambda facts: facts.on_battery is None) == HostFacts()
            assert told.sensor.standing == "org.freedesktop.UPower has gone from the system bus"


async def test_a_daemon_that_is_restarted_is_not_unknown_meanwhile(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is when it stays away; what is held back on battery is not let run by an update of UPower."""
    monkeypatch.setattr(bus_sensor, "GRACE", 1.0)
    on_battery = PLUGGED | {MAIN: {"OnBattery": b(value=True)}}
    async with telling(of_power(address)) as told:
        await told.until_told(1)
        async with fake_service(address, UPOWER, on_battery):
            await told.until(lambda facts: facts.on_battery)
        async with fake_service(address, UPOWER, on_battery | {DISPLAY: {"WarningLevel": u(3)}}):
            await told.until(lambda facts: facts.battery_low)
        assert all(facts.on_battery for facts in told.facts[1:])
        assert await told.until(lambda facts: not facts.on_battery) == HostFacts()


async def test_of_two_names_the_new_one_counts(address: str) -> None:
    """And the old one where there is no other."""
    async with telling(of_profiles(address)) as told:
        async with fake_service(address, OLD, {OLD_PLACE: {"ActiveProfile": s("power-saver")}}) as old:
            await told.until(lambda facts: facts.power_saver)
            async with fake_service(address, NEW, {NEW_PLACE: {"ActiveProfile": s("balanced")}}):
                await told.until(lambda facts: facts.power_saver is False)
                old.set(OLD_PLACE, ActiveProfile=s("balanced"))
            old.set(OLD_PLACE, ActiveProfile=s("power-saver"))
            await told.until(lambda facts: facts.power_saver)
        gone = f"{NEW} has gone from the system bus; {OLD} has gone from the system bus"
        assert await told.until(lambda _: told.sensor.standing == gone) == HostFacts()


@pytest.mark.parametrize("wrong", [s("yes"), u(1), Variant("v", Variant("b", value=True)), Variant("ab", [True])])
async def test_wrong_types_are_unknown_and_said_once(
    wrong: Variant, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    """However often they are said; what else the daemon says counts."""
    said = PLUGGED | {MAIN: {"OnBattery": wrong}}
    async with fake_service(address, UPOWER, said) as upower, telling(of_power(address)) as told:
        assert await told.until_told(1) == HostFacts()
        for number in (2, 3):
            upower.set(DISPLAY, WarningLevel=u(number))
            await told.until_told(number)
        upower.set(MAIN, OnBattery=b(value=True))
        await told.until(lambda facts: facts.battery_low)
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert line == (
        "org.freedesktop.UPower.OnBattery on the system bus is unknown to Tocsin:"
        f" it is of the type {wrong.signature!r}, and not 'b'"
    )


async def test_an_answer_that_is_no_properties_is_unknown(address: str, caplog: pytest.LogCaptureFixture) -> None:
    """As are objects that are not there."""
    async with fake_service(address, UPOWER, {MAIN: PLUGGED[MAIN]}) as upower, telling(of_power(address)) as told:
        assert await told.until_told(1) == HostFacts(on_battery=False, battery_low=False)
        upower.methods["GetAll"] = ("s", ["all of it"])
        upower.set(MAIN, OnBattery=b(value=True))
        assert await told.until_told(2) == HostFacts()
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 3


async def test_a_daemon_that_does_not_answer_is_asked_again(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it knows is unknown meanwhile, and its silence is said."""
    monkeypatch.setattr(bus_connection, "PATIENCE", 0.05)
    async with fake_service(address, UPOWER, PLUGGED) as upower:
        upower.silent = True
        async with telling(of_power(address)) as told:
            assert await told.until_told(2) == HostFacts()
            assert "did not answer" in told.sensor.standing
            upower.silent = False
            await told.until(lambda facts: facts.on_battery is False)


async def test_it_is_not_asked_for_ever(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that refuses each time is left alone, until it says that something has changed, or is another one."""
    monkeypatch.setattr(bus_sensor, "FIRST_PAUSE", 0.0001)
    tries = bus_sensor.TRIES + 1
    async with telling(of_power(address)) as told:
        await told.until_told(1)
        for number in range(2):
            async with fake_service(address, UPOWER, PLUGGED) as upower:
                upower.methods["GetAll"] = "org.example.Refused"
                await called(upower, tries)
                assert told.sensor.standing == "org.example.Refused: no"
                if number:
                    upower.methods.clear()
                    upower.set(MAIN, OnBattery=b(value=False))
                    await told.until(lambda facts: facts.on_battery is False)
                    upower.methods["GetAll"] = "org.example.Refused"
                    upower.set(MAIN, OnBattery=b(value=True))
                    await called(upower, 2 * tries + 2)
            await told.until(lambda _: told.sensor.standing == f"{UPOWER} has gone from the system bus")


async def called(service: FakeService, number: int) -> None:
    """Wait until a service was called so often, and see that it is not called any more."""
    with anyio.fail_after(5):
        while len(service.calls) < number:  # noqa: ASYNC110  # a list tells of nothing
            await anyio.sleep(0.005)
    await anyio.sleep(0.1)
    assert len(service.calls) == number


async def test_pauses_double(address: str) -> None:
    """From a tenth of a second to almost a minute; then it is left alone."""
    sensor = of_power(address)
    async with telling(sensor) as told:
        await told.until_told(1)
        pauses = [sensor._pause() for _ in range(bus_sensor.TRIES + 1)]
    assert pauses == [0.1 * 2**number for number in range(bus_sensor.TRIES)] + [math.inf]


async def test_only_the_bus_says_who_has_gone(address: str) -> None:
    """A signal of another program, which is sent to this very connection, is passed over."""
    sensor = of_power(address)
    async with fake_service(address, UPOWER, PLUGGED) as upower, telling(sensor) as told:
        await told.until(lambda facts: facts.on_battery is False)
        bus = (bus_connection.BUS_PATH, bus_connection.BUS)
        await lie(address, sensor, bus, "NameOwnerChanged", UPOWER, ":1.1", "")
        upower.set(MAIN, OnBattery=b(value=True))
        await told.until(lambda facts: facts.on_battery)
        assert all(facts.on_battery is not None for facts in told.facts)


async def lie(address: str, sensor: BusSensor, place: Place, member: str, *body: str) -> None:
    """Send a signal to a sensor's connection, from another one, and wait until it is there."""
    async with fake_service(address, "org.example.Liar", {}) as liar:
        message = Message.new_signal(*place, member, "s" * len(body), list(body))
        message.destination = sensor._bus._connection._bus.unique_name
        liar.bus.send(message)
        ping = Message("org.freedesktop.DBus", "/", "org.freedesktop.DBus.Peer", "Ping")
        await liar.bus.call(ping)
    await anyio.sleep(0.02)


class TestPresence:
    """Logind."""

    async def test_hints_and_signals(self, address: str) -> None:
        """Idle, locked by the hint, locked by the signal: each flips at once, and back."""
        async with fake_service(address, LOGIN, LOGGED_ON) as logind:
            logged_on(logind)
            async with telling(LogindSensor(SystemBus(address), UID)) as told:
                here, away = (HostFacts(session_connected=True, user_present=each) for each in (True, False))
                assert await told.until_told(1) == here
                for hint in ("IdleHint", "LockedHint"):
                    logind.set(SESSION, **{hint: b(value=True)})
                    assert await told.until(lambda facts: facts.user_present is False) == away
                    logind.set(SESSION, **{hint: b(value=False)})
                    assert await told.until(lambda facts: facts.user_present) == here
                logind.say(*SESSION, "Lock")
                assert await told.until(lambda facts: facts.user_present is False) == away
                logind.say(*SESSION, "Unlock")
                assert await told.until(lambda facts: facts.user_present) == here

    async def test_another_session(self, address: str) -> None:
        """It is the one that logind says to be the user's display; what happens in others is not asked about."""
        async with fake_service(address, LOGIN, LOGGED_ON) as logind:
            logged_on(logind)
            sensor = LogindSensor(SystemBus(address), UID)
            async with telling(sensor) as told:
                await told.until(lambda facts: facts.user_present)
                logind.set(USER, Display=Variant("(so)", ["2", OTHER[0]]))
                await told.until(lambda facts: facts.user_present is False)
                calls = len(logind.calls)
                logind.set(SESSION, IdleHint=b(value=True))
                logind.say(*SESSION, "Lock")
                await anyio.sleep(0.03)
                logind.set(OTHER, IdleHint=b(value=False))
                await told.until(lambda facts: facts.user_present)
                assert len(logind.calls) == calls + 3  # one look: who, the user, the session
                assert not any(SESSION[0] in rule for rule in sensor._rules)

    async def test_a_lock_is_that_of_its_session(self, address: str) -> None:
        """It does not go on with another one, or with the next of the same name."""
        async with fake_service(address, LOGIN, LOGGED_ON | {OTHER: AT_WORK}) as logind:
            logged_on(logind)
            async with telling(LogindSensor(SystemBus(address), UID)) as told:
                for path in (OTHER[0], SESSION[0]):
                    await told.until(lambda facts: facts.user_present)
                    logind.say(*(SESSION if path == OTHER[0] else OTHER), "Lock")
                    await told.until(lambda facts: facts.user_present is False)
                    logind.set(USER, Display=Variant("(so)", ["n", path]))
                    await told.until(lambda facts: facts.user_present)
                logind.say(*SESSION, "Lock")
                await told.until(lambda facts: facts.user_present is False)
                logind.methods["GetUser"] = "org.freedesktop.login1.NoSuchUser"
                logind.say(*MANAGER, "UserRemoved", "uo", [UID, USER[0]])
                await told.until(lambda facts: facts.session_connected is False)
                logged_on(logind)
                logind.say(*MANAGER, "UserNew", "uo", [UID, USER[0]])
                await told.until(lambda facts: facts.user_present)

    async def test_a_user_may_have_another_path(self, address: str) -> None:
        """After having logged off and on; what happens at the earlier one is not asked about."""
        moved: Place = ("/org/freedesktop/login1/user/_43", USER[1])
        places: dict[Place, dict[str, Variant]] = {**LOGGED_ON, moved: LOGGED_ON[USER]}
        async with fake_service(address, LOGIN, places) as logind:
            logged_on(logind)
            sensor = LogindSensor(SystemBus(address), UID)
            async with telling(sensor) as told:
                await told.until(lambda facts: facts.user_present)
                logind.methods["GetUser"] = ("o", [moved[0]])
                logind.say(*MANAGER, "UserNew", "uo", [UID, moved[0]])
                await told.until_told(2)
                logind.set(moved, State=s("closing"))
                logged_off = HostFacts(session_connected=False, user_present=False)
                assert await told.until(lambda facts: facts.session_connected is False) == logged_off
                assert not any(USER[0] in rule for rule in sensor._rules)

    async def test_logging_off_and_on(self, address: str) -> None:
        """A user without a session is not there; another's coming and going is not asked about."""
        async with fake_service(address, LOGIN, LOGGED_ON) as logind:
            logind.methods["GetUser"] = "org.freedesktop.login1.NoSuchUser"
            async with telling(LogindSensor(SystemBus(address), UID)) as told:
                logged_off = HostFacts(session_connected=False, user_present=False)
                assert await told.until_told(1) == logged_off
                logged_on(logind)
                logind.say(*MANAGER, "UserNew", "uo", [UID + 1, "/x"])
                await anyio.sleep(0.03)
                assert len(told.facts) == 1
                logind.say(*MANAGER, "UserNew", "uo", [UID, USER[0]])
                await told.until(lambda facts: facts.user_present)
                assert len(told.facts) == 2
                lingering = {"State": s("lingering"), "Display": Variant("(so)", ["", "/"])}
                logind.set(USER, **lingering)
                assert await told.until(lambda facts: facts.user_present is False) == logged_off

    async def test_signals_of_others_say_nothing(self, address: str) -> None:
        """One that is sent to this very connection comes without a rule; only logind locks a session."""
        async with fake_service(address, LOGIN, LOGGED_ON) as logind:
            logged_on(logind)
            sensor = LogindSensor(SystemBus(address), UID)
            async with telling(sensor) as told:
                await told.until(lambda facts: facts.user_present)
                await lie(address, sensor, SESSION, "Lock")
                logind.set(SESSION, IdleHint=b(value=False))
                await told.until_told(2)
                assert told.facts[-1].user_present

    @pytest.mark.parametrize("answer", [("s", ["x"]), ("o", ["/nowhere"]), "org.example.Denied"])
    async def test_what_is_not_said_is_unknown(self, answer: tuple[str, list[Any]] | str, address: str) -> None:
        """Also where logind does not answer as it should."""
        async with fake_service(address, LOGIN, LOGGED_ON) as logind:
            logind.methods["GetUser"] = answer
            async with telling(LogindSensor(SystemBus(address), UID)) as told:
                assert await told.until_told(1) == HostFacts()


async def test_the_bus_may_go_and_come_back(tmp_path: Path) -> None:
    """Meanwhile all is unknown, and it is found again without being asked for."""
    place = tmp_path / "bus"
    place.mkdir()
    bus = SystemBus()
    async with telling(daemon_sensors(bus)[0]) as told, telling(LogindSensor(bus, UID)) as other:
        assert await told.until_told(1) == HostFacts()
        assert told.sensor.is_polled
        for number in (1, 2):
            async with (
                session_bus(place) as address,
                fake_service(address, UPOWER, PLUGGED) as upower,
                fake_service(address, LOGIN, LOGGED_ON) as logind,
            ):
                logged_on(logind)
                bus._connection._address = address
                if number == 1:
                    told.sensor.ask()
                await told.until(lambda facts: facts.on_battery is False)
                await other.until(lambda facts: facts.user_present)
                upower.set(MAIN, OnBattery=b(value=True))
                await told.until(lambda facts: facts.on_battery)
                logind.set(SESSION, IdleHint=b(value=True))
                await other.until(lambda facts: facts.user_present is False)
                assert not told.sensor.is_polled
            assert await told.until(lambda facts: facts == HostFacts()) == HostFacts()
            await other.until(lambda facts: facts == HostFacts())
            assert "the system bus" in told.sensor.standing


async def test_without_a_bus_it_is_looked_for_when_asked_and_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """And dbus-fast is not loaded; what is missing is said."""
    looks, now = list[float](), [0.0]

    def find() -> None:
        looks.append(now[0])

    monkeypatch.setattr(bus_connection, "system_address", find)
    monkeypatch.setattr(bus_connection, "_library", lambda: pytest.fail("loaded"))
    monkeypatch.setattr(bus_sensor, "FIRST_PAUSE", 0.0001)
    sensor = of_power(None)
    sensor._now = lambda: now[0]
    async with telling(sensor) as told:
        await told.until_told(1)
        await anyio.sleep(0.02)
        for moment in (10.0, 20.0, 69.9, 70.0):
            now[0] = moment
            sensor.ask()
            await anyio.wait_all_tasks_blocked()
    assert looks == [0.0, 10.0, 70.0]
    assert sensor.standing.startswith("there is no system bus: DBUS_SYSTEM_BUS_ADDRESS is not set")


async def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """And nothing is known."""
    right = importlib.import_module

    def refuse(name: str) -> Any:
        if name.startswith("dbus_fast"):
            raise builtins.ImportError(name)
        return right(name)

    monkeypatch.setattr(bus_connection, "import_module", refuse)
    async with telling(of_power(address)) as told:
        assert await told.until_told(1) == HostFacts()
        assert "pip install 'tocsin[desktop]'" in told.sensor.standing


async def test_sensors_share_one_connection(address: str) -> None:
    """It is there for as long as one of them is; which of them sees to it is no matter."""
    bus = SystemBus(address)
    power, profiles, _ = daemon_sensors(bus)
    async with fake_service(address, UPOWER, PLUGGED) as upower:
        async with telling(power) as first:
            await first.until(lambda facts: facts.on_battery is False)
            async with telling(profiles) as second:
                await second.until_told(1)
            upower.set(MAIN, OnBattery=b(value=True))
            await first.until(lambda facts: facts.on_battery)
            assert bus.connections == 1
        assert not bus.is_connected
        async with telling(profiles) as second, anyio.create_task_group() as tasks:
            tasks.start_soon(power.run, first.take)
            await second.until_told(1)
            await first.until(lambda facts: facts.on_battery)
            tasks.cancel_scope.cancel()
        assert bus.connections == 2


async def test_the_sensors_of_this_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Linux all of them, which tell at once that they know nothing where nothing is; elsewhere the battery."""
    sensors = default_sensors()
    assert [sensor.name for sensor in sensors] == ["UPower", "power profiles", "NetworkManager", "logind", "psutil"]
    async with AsyncExitStack() as stack:
        for each in [await stack.enter_async_context(telling(sensor)) for sensor in sensors]:
            assert await each.until_told(1) == HostFacts()
            assert each.sensor.is_polled
    monkeypatch.setattr(sys, "platform", "darwin")
    assert [sensor.name for sensor in default_sensors()] == ["psutil"]
