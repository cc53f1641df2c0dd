"""A screen that no monitor shows (Xvfb): its windows, its pictures, and a pointer that clicks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from attrs import field, frozen

from tests.e2e.desktops.processes import PATIENCE, first_line, running

PROGRAMS = {"Xvfb": "xvfb", "xdotool": "xdotool", "import": "imagemagick"}
"""What has to be installed, and the Debian packages that have it."""

WIDTH, HEIGHT = 1000, 700

_NARROW = 50
"""Pixels up to which a window is none that shows a toast: GTK has small ones of its own."""


@frozen
class Box:
    """A part of the screen, in pixels."""

    x: int
    y: int
    width: int
    height: int


WHOLE = Box(0, 0, WIDTH, HEIGHT)


@frozen
class Picture:
    """The pixels of a part of the screen, three bytes each, row by row."""

    box: Box
    pixels: bytes = field(repr=False)

    def pieces(self, colour: bytes) -> list[tuple[int, int]]:
        """Return the middles of the top edges of what is of one colour, in the order in which text is read."""
        found, above = [], False
        for y in range(self.box.height):
            row = self.pixels[y * self.box.width * 3 : (y + 1) * self.box.width * 3]
            runs = _runs(row, colour)
            if not above:
                found += [(self.box.x + (start + end) // 2, self.box.y + y) for start, end in runs]
            above = bool(runs)
        return found


def _runs(row: bytes, colour: bytes) -> list[tuple[int, int]]:
    """Return where pixels of a colour begin and end, where they are ten or more."""
    runs, start = [], -1
    for x in range(len(row) // 3 + 1):
        if row[x * 3 : x * 3 + 3] == colour:
            start = x if start < 0 else start
        else:
            if start >= 0 and x - start >= 10:
                runs.append((start, x))
            start = -1
    return runs


@frozen
class Screen:
    """A running screen."""

    display: str

    @property
    def environment(self) -> dict[str, str]:
        """What programs need to find it."""
        return {"DISPLAY": self.display}

    async def windows(self) -> list[Box]:
        """Return the windows that can be seen, but for the whole screen and for tiny ones, from the top to the bottom."""
        search = ["xdotool", "search", "--onlyvisible", "--name", ".*", "getwindowgeometry", "--shell", "%@"]
        with anyio.fail_after(PATIENCE):
            done = await anyio.run_process(
                search, env=self._own, check=False, stderr=subprocess.DEVNULL
            )  # a window may go meanwhile
        found, values = set(), dict[str, int]()
        for line in done.stdout.decode().splitlines():
            name, _, value = line.partition("=")
            values[name] = int(value)
            if name == "HEIGHT" and values["WIDTH"] > _NARROW:
                found.add(Box(values["X"], values["Y"], values["WIDTH"], values["HEIGHT"]))
        return sorted(found - {WHOLE}, key=lambda box: (box.y, box.x))

    async def picture(self, box: Box = WHOLE) -> Picture:
        """Take a picture of a part of it."""
        pixels = await self._run("import", *_window(box), "-depth", "8", "rgb:-")
        assert len(pixels) == box.width * box.height * 3
        return Picture(box, pixels)

    async def save(self, path: Path, box: Box = WHOLE) -> None:
        """Save a picture of a part of it as a small PNG."""
        await self._run("import", *_window(box), "+repage", "-strip", "-colors", "128", f"png8:{path}")

    async def click(self, x: int, y: int, button: int = 1) -> None:
        """Click a button of the pointer at a place; then the pointer leaves, so that nothing is lit up under it."""
        away = ["mousemove", "1", str(HEIGHT - 1)]
        await self._run("xdotool", "mousemove", str(x), str(y), "click", str(button), *away)

    async def _run(self, *command: str) -> bytes:
        with anyio.fail_after(PATIENCE):
            done = await anyio.run_process(command, env=self._own, stderr=None)
        return done.stdout

    @property
    def _own(self) -> dict[str, str]:
        return dict(os.environ) | self.environment


def _window(box: Box) -> tuple[str, ...]:
    return "-window", "root", "-crop", f"{box.width}x{box.height}+{box.x}+{box.y}"


@asynccontextmanager
async def screen(folder: Path) -> AsyncIterator[Screen]:
    """Run a screen on a display that is free."""
    log = folder / "screen.log"
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-nolisten", "tcp", "-noreset"]
    async with running(command, os.environ, log) as process:
        yield Screen(f":{await first_line(process, log)}")
