"""The daemons of a machine on a bus of its own: python-dbusmock under the system's Python, and the real ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from attrs import frozen
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from tests.e2e.desktops.bus import connected, until_owned
from tests.e2e.desktops.processes import running

PYTHON = "/usr/bin/python3"
"""The system's, for which Debian packages dbus-python: it has no wheels."""

MOCK = "org.freedesktop.DBus.Mock"


@frozen
class RealDaemon:
    """A daemon as Debian installs it."""

    package: str
    program: str
    name: str
    """On the bus."""


UPOWERD = RealDaemon("upower", "/usr/libexec/upowerd", "org.freedesktop.UPower")
PROFILES_DAEMON = RealDaemon("power-profiles-daemon", "/usr/libexec/power-profiles-daemon", "net.hadess.PowerProfiles")


@cache
def has_mock() -> bool:
    """Tell whether the system's Python has dbusmock."""
    if shutil.which(PYTHON) is None:
        return False
    command = [PYTHON, "-c", "import dbusmock"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603  # it is the system's


def lacking(*real: RealDaemon, mock: bool = False) -> list[str]:
    """Return the Debian packages that have to be installed, and are not."""
    packages = [] if shutil.which("dbus-daemon") else ["dbus-daemon"]
    packages += [daemon.package for daemon in real if not Path(daemon.program).exists()]
    return packages + (["python3-dbusmock"] if mock and not has_mock() else [])


@frozen
class Mocked:
    """A daemon of dbusmock, and the means to change it."""

    name: str
    _bus: MessageBus

    async def set(self, path: str, interface: str, **properties: Variant) -> None:
        """Change properties of an object; it tells of it."""
        await self.call(path, MOCK, "UpdateProperties", "sa{sv}", [interface, properties])

    async def add(self, path: str, interface: str, **properties: Variant) -> None:
        """Add what the template lacks."""
        await self.call(path, MOCK, "AddProperties", "sa{sv}", [interface, properties])

    async def call(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> Any:
        """Call a method of it."""
        message = Message(
            destination=self.name, path=path, interface=interface, member=member, signature=signature, body=body
        )
        answer = await self._bus.call(message)
        assert answer is not None
        assert answer.message_type is MessageType.METHOD_RETURN, answer.body
        return answer.body


@asynccontextmanager
async def mocked(address: str, template: str, name: str, folder: Path) -> AsyncIterator[Mocked]:
    """Run a daemon of dbusmock on a bus."""
    command = [PYTHON, "-m", "dbusmock", "--template", template]
    async with _daemon(command, address, name, folder), connected(address) as bus:
        yield Mocked(name, bus)


@asynccontextmanager
async def real(address: str, daemon: RealDaemon, folder: Path) -> AsyncIterator[Mocked]:
    """Run a daemon as it is installed."""
    async with _daemon([daemon.program], address, daemon.name, folder), connected(address) as bus:
        yield Mocked(daemon.name, bus)


@asynccontextmanager
async def _daemon(command: list[str], address: str, name: str, folder: Path) -> AsyncIterator[None]:
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": address}
    async with running(command, environment, folder / f"{name}.log"), connected(address) as bus:
        await until_owned(bus, name)
        yield
