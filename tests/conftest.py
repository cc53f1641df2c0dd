"""What all tests share: the event loop they run on, and how hard Hypothesis looks.

``quick``, the default, looks at the same examples every time, so that a change is judged by what it changes. ``.ci/run``
looks four times as hard (``HYPOTHESIS_PROFILE=ci pytest``), and ``nightly`` over a hundred times, at others each time.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tocsin.host import battery

if TYPE_CHECKING:
    from tests.persistence.postgres_server import PostgresServer

# A run starts a few hundred processes: where modules are not kept compiled, each compiles them anew.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What is imported and collected stays: until that is done, each full garbage collection would look at all of it in vain.
gc.disable()

# What tests write is gone in the end: in memory, where there is room for it, nothing waits for the disk.
_MEMORY = Path("/dev/shm")  # noqa: S108  # folders in it are made as in any for temporary files
if (
    "TMPDIR" not in os.environ
    and os.access(_MEMORY, os.W_OK)
    and not os.statvfs(_MEMORY).f_flag & os.ST_NOEXEC
    and shutil.disk_usage(_MEMORY).free > 4 * 1024**3
):
    tempfile.tempdir = os.environ["TMPDIR"] = str(_MEMORY)

# No policy of this machine or of its user holds back what a test sends; those of policies have files of their own.
os.environ["XDG_CONFIG_DIRS"] = os.environ["XDG_CONFIG_HOME"] = "/nonexistent"

# No test shows its toasts on the screen of its user; those with a desktop have a bus of their own.
os.environ["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/nonexistent/bus"

# Nor does it depend on how the machine stands that it runs on.
os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/nonexistent/bus"

# Tests run as apps under asyncio.run do: anyio's own runner would note the loop's name, and without the note what makes events
# and scopes of anyio in a callback of the loop fails.
pytest.MonkeyPatch().setattr("anyio.pytest_plugin.set_current_async_library", lambda _: None)

# A deadline measures the other load of the machine, and so does the check for slow data.
settings.register_profile(
    "quick",
    settings.get_profile("default"),
    max_examples=12,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("quick"), max_examples=48, stateful_step_count=50)
settings.register_profile(
    "nightly", settings.get_profile("ci"), max_examples=2000, stateful_step_count=100, derandomize=False
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, the loop of SQLite's threads and of the web server; a test of pure waiting may choose trio."""
    return "asyncio"


@pytest.fixture
def home() -> Iterator[Path]:
    """Give the home of a user: a folder of a short name, since a socket below it has a path of at most 107 bytes."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="session", autouse=True)
def no_battery() -> Iterator[None]:
    """Nor does it depend on the battery of the machine, which is looked at where there is no bus."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(battery, "SUPPLIES", Path("/nonexistent/power_supply"))
        yield


@pytest.fixture(scope="module", autouse=True)
def nothing_of_other_modules() -> None:
    """Keep what other modules have left for good out of all garbage collections to come: each full one looks at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Run one PostgreSQL for all tests that need it."""
    from tests.persistence.postgres_server import installed, running_server  # noqa: PLC0415  # few tests need its driver

    with running_server(installed()) as server:
        yield server


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Keep what was imported and collected out of all garbage collections to come: a full one takes 5 ms, not 350."""
    gc.collect()
    gc.freeze()
    gc.enable()
