"""The service's own time: it goes on steadily whatever the machine's clock is set to, also over a restart."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import ClientSession
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from tests.service.away import CACHE, back, drain, store
from tests.service.world import Clock, World
from tocsin import steady as steady_module
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.platform.service_time import Mark
from tocsin.service import server as server_module
from tocsin.service.control import ask_or_perform
from tocsin.service.registry import steady_clock as module
from tocsin.service.registry.apps import SECRET_OVERLAP
from tocsin.service.registry.sqlite_service_store import open_store
from tocsin.service.registry.steady_clock import KEEP_EVERY, NOTICED, SteadyClock
from tocsin.service.server import open_service

DAY = 86_400.0
JUMPS = (40 * DAY, -40 * DAY)
CLOSE = 1e-3  # what adding up seconds since the epoch may lose


@define
class Machine:
    """A machine whose clocks go when told to."""

    wall: float = 1.8e9
    steady: float = 100.0
    run: str = "first"

    def sleep(self, seconds: float) -> None:
        """Let time go by."""
        self.wall += seconds
        self.steady += seconds

    def start_anew(self) -> None:
        """Start, so that the steady clock begins anew too."""
        self.run += " again"
        self.steady = 0.0

    def clock(self, mark: Mark | None = None) -> SteadyClock:
        """Start the service's clock."""
        return SteadyClock(mark or Mark(), lambda: self.wall, lambda: self.steady, self.run)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Let the service run on this machine's clocks."""
    machine = Machine()
    wall = SimpleNamespace(time=lambda: machine.wall)
    monkeypatch.setattr(module, "time", wall)
    monkeypatch.setattr(server_module, "time", wall)
    monkeypatch.setattr(module, "steady", lambda: machine.steady)
    monkeypatch.setattr(module, "boot", lambda: machine.run.replace(" ", "-"))
    return machine


class Meta:
    """As much of a store as a clock needs."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.broken = False

    async def meta(self, key: str) -> bytes | None:
        """Return a value."""
        return self.kept.get(key)

    async def set_meta(self, key: str, value: bytes) -> None:
        """Keep one."""
        if self.broken:
            raise StateUnavailable("the disk is full")
        self.kept[key] = value


@given(st.lists(st.tuples(st.sampled_from(["go", "set", "restart"]), st.floats(-40 * DAY, 40 * DAY)), max_size=30))
def test_it_goes_on_by_what_goes_by(happenings: list[tuple[str, float]]) -> None:
    """Set forwards and backwards while the service runs, off for some time and on again: no second more or less."""
    machine = Machine()
    clock, expected = machine.clock(), machine.wall
    for what, seconds in happenings:
        if what == "set":
            machine.wall += seconds
        else:
            machine.sleep(abs(seconds))
            expected += abs(seconds)
        if what == "restart":
            mark = Mark(clock(), machine.wall)  # as it is kept at the end
            machine.sleep(60.0)
            expected += 60.0
            machine.start_anew()
            clock = machine.clock(mark)
        assert abs(clock() - expected) < CLOSE


async def test_only_what_is_news_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """A clock that is set, which the log says once, and now and then what time it is."""
    machine, kept = Machine(), Meta()
    clock = machine.clock()

    async def look() -> bool:
        before = dict(kept.kept)
        await clock.look(kept)  # type: ignore[arg-type]  # as much of a store as it needs
        return kept.kept != before

    assert await look()
    assert not await look()
    machine.wall += NOTICED / 2
    assert not await look()
    with caplog.at_level(logging.WARNING):
        machine.wall -= 40 * DAY
        assert await look()
        machine.sleep(60.0)
        assert not await look()
    assert [record.getMessage() for record in caplog.records] == [
        "the machine's clock was set by -3456000 s; nothing ends sooner or later by that"
    ]
    machine.sleep(KEEP_EVERY)
    assert await look()


async def test_a_wall_clock_that_went_back_while_the_service_was_off_takes_nothing_away(tmp_path: Path) -> None:
    """The service's time goes on where it was, and so it does at the next start."""
    async with open_store(tmp_path) as kept:
        machine = Machine(wall=1e9)
        clock = machine.clock(Mark(1.8e9, 1.7e9))
        assert clock() == 1.8e9
        await clock.look(kept)
        machine.sleep(50.0)
        assert Mark.parse((await kept.meta("time") or b"").decode()) == Mark(1.8e9, 1e9, 100.0, "first")


@pytest.mark.parametrize("jump", JUMPS)
async def test_nothing_of_a_service_ends_when_its_machines_clock_is_set(
    tmp_path: Path, machine: Machine, jump: float
) -> None:
    """The channel, the token and the secret of before are good, and what was stored arrives, also after a restart."""
    async with opened(tmp_path) as world:
        await world.authorize()
        await world.open_channel()
        await store(world, "before", CACHE, {"X-WNS-TTL": "600"})
        machine.wall += jump
        await store(world, "after", CACHE, {"X-WNS-TTL": "600"})
        token, uri, app = world.token, world.uri, world.app
        await world.service.registrations.rotate("contoso")
        await world.authorize()
    machine.sleep(60.0)
    async with opened(tmp_path) as world:
        world.token, world.uri = token, uri
        await store(world, "later", CACHE, {"X-WNS-TTL": "600"})
        world.app = app
        await world.authorize()
        async with back(world) as device:
            assert await drain(device) == ["before", "after", "later"]
        machine.sleep(SECRET_OVERLAP)
        assert "error" in await world.ask_token(app)


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_clock_that_is_set_while_only_the_service_is_off_ends_nothing(
    tmp_path: Path, machine: Machine, jump: float, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the machine ran on, its steady clock tells for how long; the log says that the wall clock was set."""
    async with opened(tmp_path) as world:
        await world.authorize()
        await world.open_channel()
        await store(world, "short", CACHE, {"X-WNS-TTL": "600"})
        await store(world, "long", CACHE, {"X-WNS-TTL": "1200"})
    machine.sleep(601.0)
    machine.wall += jump
    async with opened(tmp_path) as world, back(world) as device:
        assert await drain(device) == ["long"]
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line == f"the machine's clock was set by {jump:+.0f} s; nothing ends sooner or later by that"


@pytest.mark.parametrize(
    ("jump", "line"),
    [
        (-40 * DAY, "the machine's clock was set by -3456000 s; nothing ends sooner or later by that"),
        (
            40 * DAY,
            (
                "1 channels and 2 stored notifications have ended while the service was off, for 3456000 s by the machine's"
                " clock; if that was set meanwhile, or is wrong, they have ended too soon"
            ),
        ),
        (2 * DAY, "0 channels and 1 stored notifications have ended while the service was off, for 172800 s by the"),
        (3600.0, ""),
        (60.0, ""),
    ],
)
async def test_what_a_wall_clock_alone_has_ended_is_told_at_the_start(
    tmp_path: Path, machine: Machine, jump: float, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After a start of the machine nothing else says for how long it was off: from a day on that is a warning, once."""
    caplog.set_level(logging.INFO)
    async with opened(tmp_path) as world:
        await world.authorize()
        await world.open_channel()
        await store(world, "short", CACHE, {"X-WNS-TTL": "600"})
        await store(world, "as long as its channel", CACHE)
    machine.wall += jump
    machine.start_anew()
    for _ in range(2):
        async with opened(tmp_path):
            pass
    lines = [record for record in caplog.records if record.name == module.__name__]
    warnings = [record.getMessage() for record in lines if record.levelno >= logging.WARNING]
    assert len(warnings) == bool(line)
    assert "".join(warnings).startswith(line)
    assert [record.levelname for record in lines] == (["WARNING"] if line else ["INFO"] if jump > 600 else [])


@pytest.mark.parametrize("jump", JUMPS)
async def test_what_is_stored_expires_when_its_time_has_gone_by(tmp_path: Path, machine: Machine, jump: float) -> None:
    """Neither sooner nor later for a clock that is set."""
    async with opened(tmp_path) as world:
        await world.authorize()
        await world.open_channel()
        await store(world, "short", CACHE, {"X-WNS-TTL": "600"})
        await store(world, "long", CACHE, {"X-WNS-TTL": "1200"})
        machine.wall += jump
        machine.sleep(601.0)
        async with back(world) as device:
            assert await drain(device) == ["long"]


@pytest.mark.parametrize("jump", JUMPS)
async def test_a_secret_that_is_given_while_no_service_runs_overlaps_by_the_services_time(
    tmp_path: Path, machine: Machine, jump: float
) -> None:
    """The command that works on the store goes on with the time that is kept there."""
    async with opened(tmp_path) as world:
        app = world.app
        machine.wall += jump
    await ask_or_perform(tmp_path, {"verb": "rotate", "name": "contoso"})
    machine.sleep(SECRET_OVERLAP - 1)
    async with opened(tmp_path) as world:
        assert "access_token" in await world.ask_token(app)
        machine.sleep(2.0)
        assert "error" in await world.ask_token(app)


def test_a_run_of_the_machine_has_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is the same for each process; where it cannot be read there is none, and the wall clock has to do."""
    words = "from tocsin.steady import boot; print(boot())"
    there = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)  # noqa: S603  # ours
    assert there.stdout.strip() == steady_module.boot()
    assert bool(steady_module.boot()) == (sys.platform == "linux")
    monkeypatch.setattr(steady_module, "_BOOT", tmp_path / "none")
    assert not steady_module.boot()


async def test_dates_are_told_by_the_wall_clock(tmp_path: Path, machine: Machine) -> None:
    """A sender judges them by its own clock, which is right where the machine's has been set right."""
    async with opened(tmp_path) as world:
        machine.wall += 40 * DAY
        app = world.app
        form = {"grant_type": "client_credentials", "client_id": app.client_id, "client_secret": app.client_secret}
        url = f"{world.service.url}/common/oauth2/token"
        async with world.http.post(url, data={**form, "resource": "https://wns.windows.com/"}) as response:
            assert (await response.json())["not_before"] == str(int(machine.wall))


async def test_that_the_time_cannot_be_kept_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again, and the service goes on meanwhile."""
    machine, kept = Machine(), Meta()
    clock = machine.clock()
    kept.broken = True
    for _ in range(3):
        await clock.look(kept)  # type: ignore[arg-type]  # as above
    assert [record.getMessage() for record in caplog.records] == [
        "what time it is could not be kept, which is tried again and again: the disk is full"
    ]
    kept.broken = False
    await clock.look(kept)  # type: ignore[arg-type]
    assert kept.kept


@asynccontextmanager
async def opened(state: Path) -> AsyncIterator[World]:
    """Run a service with an app, on the clock that it has by itself."""
    async with open_service(state) as service, ClientSession() as http:
        apps = service.registrations.apps()
        app = None if apps else await service.register("contoso")
        yield World(service, app, Clock(), http)  # type: ignore[arg-type]  # of a service that ran before, the test knows it
