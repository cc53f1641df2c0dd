"""Plays sounds beside the desktop: few daemons play any, and none repeats one for as long as a call rings."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import DEVNULL
from typing import Final

import anyio
from anyio.abc import TaskGroup
from attrs import frozen

from tocsin.tasks import Signal, task_group

PAUSE: Final = 1.0
"""Seconds between two rings."""

LONGEST: Final = 30.0
"""Seconds that one ring may take."""

MAX_RINGING: Final = 8
"""Sounds that are played at a time."""

_THEMES: Final = ("/usr/share/sounds/freedesktop/stereo", "/usr/local/share/sounds/freedesktop/stereo")
_ENDINGS: Final = (".oga", ".ogg", ".wav")

Player = Callable[[str], Sequence[str] | None]
"""Returns the command that plays a sound of the freedesktop theme once; None where it cannot be played."""


def theme_player(sound: str) -> Sequence[str] | None:
    """Play by ``canberra-gtk-play``, which knows the user's theme, else by ``paplay`` from the theme that all fall back on."""
    if not sound or not sound.replace("-", "").isalnum():
        return None
    canberra = shutil.which("canberra-gtk-play")
    if canberra is not None:
        return [canberra, f"--id={sound}"]
    paplay = shutil.which("paplay")
    files = (Path(theme, sound + ending) for theme in _THEMES for ending in _ENDINGS)
    path = next((path for path in files if path.is_file()), None) if paplay is not None else None
    return None if paplay is None or path is None else [paplay, str(path)]


@frozen
class _Ring:
    number: int
    command: Sequence[str]
    loop: bool
    scope: anyio.CancelScope


class Ringing:
    """What is heard now, by the numbers of popups; each sound is a process, which ends with its popup.

    :param player: finds what plays a sound.
    """

    def __init__(self, player: Player = theme_player) -> None:
        self._player = player
        self._rings: dict[int, _Ring] = {}
        self._wanted: deque[_Ring] = deque()
        self._called = Signal()

    def can_play(self, sound: str) -> bool:
        """Tell whether a sound can be played here."""
        return bool(sound) and self._player(sound) is not None

    def start(self, number: int, sound: str, *, loop: bool) -> None:
        """Play a sound for a popup, in the place of what plays for it; once, or until it is stopped."""
        self.stop(number)
        command = self._player(sound)
        if command is not None and len(self._rings) < MAX_RINGING:
            ring = self._rings[number] = _Ring(number, command, loop, anyio.CancelScope())
            self._wanted.append(ring)
            self._called.set()

    def stop(self, number: int) -> None:
        """Let it be silent."""
        ring = self._rings.pop(number, None)
        if ring is not None:
            ring.scope.cancel()

    def stop_all(self) -> None:
        """Let all be silent."""
        for number in list(self._rings):
            self.stop(number)

    async def run(self) -> None:
        """Play what is started, until cancelled."""
        async with task_group() as tasks:
            while True:
                await self._called.wait()
                self._begin(tasks)

    def _begin(self, tasks: TaskGroup) -> None:
        while self._wanted:
            tasks.start_soon(self._ring, self._wanted.popleft(), name="ring")

    async def _ring(self, ring: _Ring) -> None:
        with ring.scope:
            while await _play(ring.command) and ring.loop:  # noqa: ASYNC110  # it rings again after a pause
                await anyio.sleep(PAUSE)
        if self._rings.get(ring.number) is ring:
            del self._rings[ring.number]


async def _play(command: Sequence[str]) -> bool:
    """Play once, and tell whether it could be; the process ends with this call."""
    with anyio.move_on_after(LONGEST):
        try:
            done = await anyio.run_process(
                command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, check=False, env=os.environ
            )
        except OSError:
            return False
        return done.returncode == 0
    return True
