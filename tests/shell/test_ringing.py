"""Sounds, by a program of our own that writes a line for each ring."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from tocsin.shell import ringing
from tocsin.shell.ringing import MAX_RINGING, Ringing, theme_player

STAYING = "import os, sys, time; f = open(sys.argv[1], 'a'); f.write(f'{os.getpid()}\\n'); f.close(); time.sleep(600)"
SHORT = "import sys; f = open(sys.argv[1], 'a'); f.write('rang\\n'); f.close(); sys.exit(int(sys.argv[2]))"


@asynccontextmanager
async def running(player: ringing.Player) -> AsyncIterator[Ringing]:
    """Let sounds be played for as long as the block."""
    rings = Ringing(player)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rings.run)
        yield rings
        tasks.cancel_scope.cancel()


def short(log: Path, code: int = 0) -> ringing.Player:
    """Return a player that is done at once."""
    return lambda sound: [sys.executable, "-S", "-c", SHORT, str(log), str(code)] if sound == "bell" else None


def staying(log: Path) -> ringing.Player:
    """Return a player that goes on."""
    return lambda _: [sys.executable, "-S", "-c", STAYING, str(log)]


async def lines(log: Path, number: int) -> list[str]:
    """Wait for so many lines."""
    found: list[str] = []
    with anyio.fail_after(20):
        while len(found) < number:
            await anyio.sleep(0.01)
            found = log.read_text().splitlines() if log.exists() else []  # noqa: ASYNC240  # a line or two
    return found


async def until_ended(process: int) -> None:
    """Wait until a process is no more."""
    with anyio.fail_after(20):
        while is_alive(process):  # noqa: ASYNC110  # another process
            await anyio.sleep(0.01)


def is_alive(process: int) -> bool:
    """Tell whether there is a process."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_sound_is_repeated_until_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a telephone rings; one that is not to be repeated is heard once."""
    monkeypatch.setattr(ringing, "PAUSE", 0.0)
    once, often = tmp_path / "once", tmp_path / "often"
    async with running(short(once)) as rings:
        rings.start(1, "bell", loop=False)
        await lines(once, 1)
        async with running(short(often)) as others:
            others.start(1, "bell", loop=True)
            await lines(often, 3)
            others.stop(1)
        rings.stop(1)
    assert once.read_text() == "rang\n"


async def test_a_ring_ends_with_its_popup(tmp_path: Path) -> None:
    """Its process is ended, when it is stopped, when another takes its place, and with the block."""
    log = tmp_path / "log"
    async with running(staying(log)) as rings:
        rings.start(1, "bell", loop=True)
        (first,) = map(int, await lines(log, 1))
        rings.start(1, "bell", loop=True)
        await until_ended(first)
        second = int((await lines(log, 2))[1])
        rings.stop_all()
        await until_ended(second)
        rings.start(2, "bell", loop=True)
        third = int((await lines(log, 3))[2])
    assert not is_alive(third)


async def test_a_player_that_fails_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one that cannot be started; the next sound has its turn."""
    monkeypatch.setattr(ringing, "PAUSE", 0.0)
    log = tmp_path / "log"
    async with running(short(log, 1)) as rings:
        for number in range(2 * MAX_RINGING):
            rings.start(number, "bell", loop=True)
            await lines(log, number + 1)
    async with running(lambda _: ["/nonexistent/player"]) as silent:
        silent.start(1, "bell", loop=True)
        await anyio.wait_all_tasks_blocked()
    assert len(log.read_text().splitlines()) == 2 * MAX_RINGING


async def test_so_many_are_heard_at_a_time(tmp_path: Path) -> None:
    """The others are not: none could be told from another; what was stopped before it began is not begun."""
    log = tmp_path / "log"
    async with running(staying(log)) as rings:
        for number in range(MAX_RINGING + 3):
            rings.start(number, "bell", loop=True)
        rings.stop(0)
        await lines(log, MAX_RINGING - 1)
        await anyio.wait_all_tasks_blocked()
    assert len(log.read_text().splitlines()) == MAX_RINGING - 1


async def test_without_a_player_there_is_silence(tmp_path: Path) -> None:
    """A sound that cannot be played is left to the daemon."""
    log = tmp_path / "log"
    async with running(short(log)) as rings:
        assert rings.can_play("bell")
        assert not rings.can_play("other")
        assert not rings.can_play("")
        rings.start(1, "other", loop=True)
        await anyio.wait_all_tasks_blocked()
    assert not log.exists()


def test_the_users_theme_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``paplay`` plays a file of the common theme; where neither is there, or the name is none, nothing is played."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(ringing, "_THEMES", (str(tmp_path),))
    (tmp_path / "bell.oga").touch()
    assert theme_player("bell") is None
    paplay: Sequence[str] = [str(program(tmp_path, "paplay")), str(tmp_path / "bell.oga")]
    assert theme_player("bell") == paplay
    assert theme_player("phone-incoming-call") is None
    canberra = program(tmp_path, "canberra-gtk-play")
    assert theme_player("phone-incoming-call") == [str(canberra), "--id=phone-incoming-call"]
    for name in ("", "../bell", "bell --loop", "/etc/passwd"):
        assert theme_player(name) is None


def program(folder: Path, name: str) -> Path:
    """Make a program that can be started."""
    path = folder / name
    path.touch(0o700)
    return path
