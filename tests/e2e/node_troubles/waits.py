"""How long devices wait after a trouble until they are sent something again."""

from __future__ import annotations

import time
from collections.abc import Iterable

from attrs import Factory, define


@define
class Wait:
    """A device waits, from a moment on; ``alone``: there has been no other trouble since."""

    kind: str
    since: float
    alone: bool


@define(eq=False)
class Waits:
    """The devices that wait, by number, and how long others have waited, by the trouble."""

    waiting: dict[int, Wait] = Factory(dict)
    times: dict[str, list[float]] = Factory(dict)
    troubles: int = 0
    """How many there are now."""

    def begin(self) -> None:
        """Note that there is a trouble more."""
        self.troubles += 1
        for wait in self.waiting.values():
            wait.alone = False

    def end(self) -> None:
        """Note that it is over."""
        self.troubles -= 1

    def wait(self, kind: str, devices: Iterable[int]) -> None:
        """Let these devices wait from now on."""
        now = time.monotonic()
        for device in devices:
            self.waiting[device] = Wait(kind, now, self.troubles <= 1)

    def waits_for(self, device: int) -> bool:
        """Tell whether a device waits."""
        return device in self.waiting

    def served(self, device: int, began: float) -> None:
        """Note that a device was sent something.

        :param began: when its connection was made.
        """
        wait = self.waiting.get(device)
        if wait is None or (wait.kind == "killed" and began < wait.since):
            return
        del self.waiting[device]
        kind = wait.kind if wait.alone else f"{wait.kind}, among others"
        self.times.setdefault(kind, []).append(time.monotonic() - wait.since)
