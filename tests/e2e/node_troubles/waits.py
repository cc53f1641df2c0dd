"""How long devices wait after a trouble until they are sent something again, and what that time goes into."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from attrs import Factory, define, field

KILLED = "killed"
"""The kind of trouble from whose begin devices wait first of all: their node is dead."""

DATABASE, STILL, CUT = "PostgreSQL", "stood still", "cut off"
"""What the kinds of troubles begin with that are not a node's end."""

NOT_SENT = "sent nothing"
"""What the time goes into in which a device is at a node, and nothing comes."""

DATABASE_AWAY = "PostgreSQL was away"
"""What it goes into meanwhile where there is no database."""


@define
class Wait:
    """A device waits, from a moment on.

    ``among`` are the kinds of the other troubles that there were meanwhile; ``spent`` is what the time went into so far, in seconds.
    """

    device: int
    kind: str
    since: float
    among: list[str]
    marked: float
    spent: dict[str, float] = Factory(dict)
    until: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.until - self.since

    @property
    def beside(self) -> str:
        """What else there was meanwhile, in a word, the worst of it: what devices find out late is worse than what ends their connections."""
        words = {
            DATABASE: "PostgreSQL",
            STILL: "one that stood still",
            CUT: "one that was cut off",
            "": "another dead one",
        }
        found = (word for begin, word in words.items() if any(kind.startswith(begin) for kind in self.among))
        return next(found, "nothing")


@define(eq=False)
class Waits:
    """The devices that wait, by number, and those that have."""

    clock: Callable[[], float] = time.monotonic
    last: dict[int, float] = Factory(dict)
    """When each device was sent something last."""
    waiting: dict[int, Wait] = Factory(dict)
    over: list[Wait] = Factory(list)
    troubles: list[str] = field(factory=list, init=False)
    """The kinds of those that there are now."""

    def begin(self, kind: str) -> None:
        """Note that there is a trouble more."""
        for wait in self.waiting.values():
            wait.among.append(kind)
        self.troubles.append(kind)

    def end(self, kind: str) -> None:
        """Note that it is over."""
        self.troubles.remove(kind)

    def wait(self, kind: str, devices: Iterable[int]) -> None:
        """Let these devices wait from now on, those of a trouble that has begun; one that waits already goes on, unless its node is dead only now."""
        now = self.clock()
        others = list(self.troubles)
        others.remove(kind)
        for device in devices:
            found = self.waiting.get(device)
            if found is None or (kind == KILLED and found.kind != KILLED):
                among = [*others, found.kind] if found else list(others)
                self.waiting[device] = Wait(device, kind, now, among, now)

    def leave(self, kind: str, device: int, since: float) -> None:
        """Let a device wait that has left a node that had a trouble since then: from then on, or from when it was last sent something."""
        if device not in self.waiting:
            others = list(self.troubles)
            others.remove(kind)
            began = max(since, self.last.get(device, 0.0))
            self.waiting[device] = Wait(device, f"{kind}, and left", began, others, began)

    def waits_for(self, device: int) -> bool:
        """Tell whether a device waits."""
        return device in self.waiting

    def spend(self, device: int, on: str) -> None:
        """Note what the time has gone into since that was noted last, if the device waits."""
        wait = self.waiting.get(device)
        if wait is not None:
            now = self.clock()
            wait.spent[on] = wait.spent.get(on, 0.0) + now - wait.marked
            wait.marked = now

    def served(self, device: int, began: float) -> None:
        """Note that a device was sent something.

        :param began: when its connection was made.
        """
        self.last[device] = self.clock()
        wait = self.waiting.get(device)
        if wait is None or (wait.kind == KILLED and began < wait.since):
            return
        self.spend(device, NOT_SENT)
        wait.until = wait.marked
        self.over.append(self.waiting.pop(device))

    def told(self, began: float) -> str:
        """Return all waits that are over, the longest first, a line each; times are from a moment on."""
        return "".join(
            f"{wait.since - began:.2f} s, {wait.seconds:.2f} s, device {wait.device}, {wait.kind}, beside {wait.among}: "
            + ", ".join(f"{on} {seconds:.2f}" for on, seconds in wait.spent.items())
            + "\n"
            for wait in sorted(self.over, key=lambda wait: -wait.seconds)
        )
