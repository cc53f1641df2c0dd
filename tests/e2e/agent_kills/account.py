"""The account of a run of kills: what was acknowledged, what handlers did with it, and what has ended as a dead letter."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import anyio
from attrs import define, field

from tests.e2e.agent_kills.woken import Folder
from tests.e2e.crash.payloads import RECORD, HandedOut


@define
class Records:
    """One of the files that the handlers write, as far as it was read."""

    path: Path
    seen: dict[int, set[int]] = field(factory=dict)
    """The attempts of each number."""
    twice: list[str] = field(factory=list)
    total: int = 0
    again: int = 0
    """How many had an attempt of more than 1."""
    _read: int = 0

    def read(self) -> None:
        """Take in what was written since the last time."""
        with suppress(FileNotFoundError), self.path.open("rb") as file:
            file.seek(self._read)
            news = file.read()
            self._read += len(news)
            for start in range(0, len(news), RECORD):
                self._take(HandedOut.decode(news[start : start + RECORD]))

    def _take(self, handed: HandedOut) -> None:
        attempts = self.seen.setdefault(handed.number, set())
        if handed.attempt in attempts:
            self.twice.append(
                f"{handed.number} ({handed.id}), attempt {handed.attempt}, is twice in '{self.path.name}'"
            )
        attempts.add(handed.attempt)
        self.total += 1
        self.again += handed.attempt > 1


class AgentAccount:
    """Compares the senders' acknowledgements with what handlers wrote and with the agent's database."""

    def __init__(self, folder: Folder) -> None:
        self.began = Records(folder.began)
        self.done = Records(folder.done)
        self._apps: list[str] = []  # by number
        self.acknowledged: dict[int, str] = {}
        """The ids, by number."""
        self.refused: Counter[str] = Counter()
        self.dead: dict[int, str] = {}
        """The reasons, by number."""
        self._open: dict[str, set[int]] = {}  # by app: acknowledged, and neither handled nor dead so far
        self._database = folder.state / "platform.db"
        self._more = anyio.Event()

    @property
    def posts(self) -> int:
        """How many payloads were posted."""
        return len(self._apps)

    def handled(self) -> dict[str, int]:
        """Return how often handlers were through with a payload, by app."""
        counts: Counter[str] = Counter()
        for number, attempts in self.done.seen.items():
            counts[self._apps[number]] += len(attempts)
        return dict(sorted(counts.items()))

    def next_number(self, app: str) -> int:
        """Return the number of the next payload, which is for that app."""
        self._apps.append(app)
        return len(self._apps) - 1

    def acknowledge(self, number: int, id_: str) -> None:
        """Note that a sender was told that this payload is received."""
        self.acknowledged[number] = id_
        self._open.setdefault(self._apps[number], set()).add(number)
        self._more.set()
        self._more = anyio.Event()

    async def wait_for(self, more: int) -> None:
        """Wait until so many more payloads are acknowledged."""
        wanted = len(self.acknowledged) + more
        while len(self.acknowledged) < wanted:
            await self._more.wait()

    def backlog(self, app: str) -> int:
        """Return how many payloads of an app have not come to their end, as far as was read."""
        return len(self._open.get(app, ()))

    def read(self) -> None:
        """Take in what the handlers wrote."""
        self.began.read()
        self.done.read()
        for app, numbers in self._open.items():
            self._open[app] = {each for each in numbers if each not in self.done.seen and each not in self.dead}

    def read_dead_letters(self) -> int:
        """Take in the dead letters, and return how many payloads are in the inbox."""
        with closing(sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True, timeout=5)) as database:
            letters = database.execute("SELECT body, reason FROM dead_letter").fetchall()
            self.dead = {int(body): reason for body, reason in letters}
            inbox: int = database.execute("SELECT count(*) FROM inbox").fetchone()[0]
        return inbox

    def lost(self) -> list[str]:
        """Return what was acknowledged and has come to no end, or to one without a reason."""
        return [
            f"{number} ({id_}) was acknowledged, but neither handled nor buried with a reason"
            for number, id_ in self.acknowledged.items()
            if number not in self.done.seen and not self.dead.get(number)
        ]
