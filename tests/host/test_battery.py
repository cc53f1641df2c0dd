"""The battery as psutil sees it: asked when there is no bus, and once a minute at most."""

from __future__ import annotations

import builtins
import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from tests.host.told import telling
from tocsin.host import battery
from tocsin.host.battery import ASK_AGAIN, BatterySensor, has_own_battery
from tocsin.host.system_bus import SystemBus
from tocsin.protocol.platform.host_facts import HostFacts


@pytest.fixture
def anyio_backend() -> str:
    """The time is a test's own."""
    return "asyncio"


class Psutil:
    """A battery that a test charges, and how often it was looked at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.plugged: bool | None = False
        self.percent = 21.0
        self.fault: Exception | None = None
        self.is_there = True
        self.looks = 0
        monkeypatch.setattr(importlib.import_module("psutil"), "sensors_battery", self._look, raising=False)
        monkeypatch.setattr(battery, "has_own_battery", lambda _: True)

    def _look(self) -> Any:
        self.looks += 1
        if self.fault is not None:
            raise self.fault
        return SimpleNamespace(percent=self.percent, power_plugged=self.plugged) if self.is_there else None


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Psutil:
    """Play the battery."""
    return Psutil(monkeypatch)


@pytest.mark.parametrize(
    ("plugged", "percent", "facts"),
    [
        (False, 21.0, HostFacts(on_battery=True, battery_low=False)),
        (False, 20.0, HostFacts(on_battery=True, battery_low=True)),
        (True, 3.0, HostFacts(on_battery=False, battery_low=False)),
        (None, 3.0, HostFacts()),
    ],
)
async def test_what_is_known(plugged: bool | None, percent: float, facts: HostFacts, found: Psutil) -> None:
    """On battery, and how much is left; what psutil does not know is unknown."""
    found.plugged, found.percent = plugged, percent
    async with telling(BatterySensor(None)) as told:
        assert await told.until_told(1) == facts
        assert told.sensor.standing == f"psutil, when it was asked last: {percent:.0f}% in the battery"


async def test_it_looks_when_asked_and_once_a_minute(found: Psutil) -> None:
    """While it is not asked, it does nothing."""
    now = [0.0]
    async with telling(BatterySensor(None, lambda: now[0])) as told:
        await told.until_told(1)
        for moment, looks in ((5.0, 2), (6.0, 2), (4.9 + ASK_AGAIN, 2), (5.0 + ASK_AGAIN, 3)):
            now[0] = moment
            told.sensor.ask()
            await told.until_told(looks)
            await anyio.sleep(0.02)
            assert found.looks == looks
        now[0] = 1000.0
        await anyio.sleep(0.02)
        assert found.looks == len(told.facts) == 3


async def test_it_knows_nothing_while_there_is_a_bus(found: Psutil, monkeypatch: pytest.MonkeyPatch) -> None:
    """UPower knows better; when the bus goes it looks again."""
    bus, there = SystemBus(), [True]
    monkeypatch.setattr(SystemBus, "is_connected", property(lambda _: there[0]))
    async with telling(BatterySensor(bus)) as told:
        await anyio.wait_all_tasks_blocked()
        assert told.facts == []  # it is not known yet whether there is one
        bus.tried.set()
        assert await told.until_told(1) == HostFacts()
        told.sensor.ask()
        assert (found.looks, told.sensor.is_polled) == (0, False)
        there[0] = False
        bus._turned()
        assert (await told.until_told(2)).on_battery
        assert told.sensor.is_polled
        there[0] = True
        bus._turned()
        assert await told.until_told(3) == HostFacts()


@pytest.mark.parametrize("fault", [OSError("gone"), ValueError("no number"), None])
async def test_no_battery_is_unknown(fault: Exception | None, found: Psutil) -> None:
    """And not "on battery"; also one that cannot be read."""
    found.fault, found.is_there = fault, fault is not None
    async with telling(BatterySensor(None)) as told:
        assert await told.until_told(1) == HostFacts()
        assert told.sensor.standing == "psutil finds no battery of the machine"


@pytest.mark.parametrize(
    ("supplies", "own"),
    [
        ({}, False),
        ({"AC": {"type": "Mains"}}, False),
        ({"hidpp_battery_0": {"type": "Battery", "scope": "Device"}}, False),
        ({"BAT0": {"type": "Battery"}, "hidpp_battery_0": {"type": "Battery", "scope": "Device"}}, True),
        ({"BAT0": {"type": "Battery", "scope": "System"}}, True),
    ],
)
async def test_a_battery_of_a_mouse_is_not_the_machines(
    supplies: dict[str, dict[str, str]], own: bool, tmp_path: Path
) -> None:
    """The kernel says whose it is; psutil does not ask, so it is not asked there."""
    for name, files in supplies.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(f"{text}\n", encoding="ascii")
    assert has_own_battery(tmp_path) is own


async def test_without_a_battery_psutil_is_not_asked(found: Psutil, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor loaded, on a machine whose kernel shows none."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(battery, "has_own_battery", lambda _: False)
    async with telling(BatterySensor(None)) as told:
        assert await told.until_told(1) == HostFacts()
        assert told.sensor.standing == "the kernel shows no battery of the machine"
    assert found.looks == 0


async def test_without_psutil_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, found: Psutil) -> None:
    """And nothing is known."""
    assert found.is_there
    right = importlib.import_module

    def refuse(name: str) -> Any:
        if name == "psutil":
            raise builtins.ImportError(name)
        return right(name)

    monkeypatch.setattr(battery, "import_module", refuse)
    async with telling(BatterySensor(None)) as told:
        assert await told.until_told(1) == HostFacts()
        assert told.sensor.standing == "the battery is looked at by psutil: pip install 'tocsin[desktop]'"
