"""The account of one run: what was acknowledged, what the app was handed, and what became of each."""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections import Counter, deque
from contextlib import closing
from pathlib import Path

import anyio

from tests.e2e.crash.payloads import RECORD, HandedOut, Manner, manner_of, number_of

STORED = 50
"""Messages that may wait at the service for the app: of more than 100 the oldest would give way."""

_DIES_OF = {Manner.REFUSE: "not_handled", Manner.FAIL: "handler_failed"}


class Account:
    """Compares the senders' acknowledgements with the app's log and with its database; keeps only what is open."""

    def __init__(self, log: Path, database: Path) -> None:
        self._log = log
        self._database = database
        self._read = 0  # bytes of the log
        self._attempts = array("H")  # by number: the attempt of which it was last handed out
        self._to_hand_out: dict[int, str] = {}  # acknowledged, and not yet in the log
        self._to_find: list[str] = []  # acknowledged, and not yet found in the database
        self._marks = deque([0, 0], maxlen=2)  # the newest sequence number at the last looks into the database
        self._to_die: set[int] = set()
        self._more = anyio.Event()
        self._stored = 0  # messages that may wait at the service
        self.cycle = 0
        self.acknowledged = 0
        self.messages = 0  # of Web Push, among them
        self.refused: Counter[str] = Counter()
        self.handed_out = 0
        self.redelivered = 0
        self.dead: Counter[str] = Counter()
        self.rows = 0
        self.lost: list[str] = []
        self.doubled: list[str] = []

    # The senders

    def next_number(self) -> int:
        """Return the number of the next payload."""
        self._attempts.append(0)
        return len(self._attempts) - 1

    def acknowledge(self, number: int, id_: str, *, by_web_push: bool) -> None:
        """Note that a sender was told that this payload is received."""
        self.acknowledged += 1
        self.messages += by_web_push
        self._to_find.append(id_)
        if not self._attempts[number]:
            self._to_hand_out[number] = id_
        self._more.set()
        self._more = anyio.Event()

    async def wait_for(self, acknowledged: int) -> None:
        """Wait until so many payloads are acknowledged in all."""
        while self.acknowledged < acknowledged:
            await self._more.wait()

    def may_store(self) -> bool:
        """Count a message that is to wait for the app if that is away; False where its queue could give way for one more."""
        if self._stored >= STORED:
            return False
        self._stored += 1
        return True

    # The app

    def read_log(self) -> None:
        """Take in what the app has been handed since the last time."""
        with self._log.open("rb") as file:
            file.seek(self._read)
            news = file.read()
        if len(news) % RECORD:
            raise ValueError(f"the log ends within a record: {news[-RECORD:]!r}")
        self._read += len(news)
        for start in range(0, len(news), RECORD):
            self._take(HandedOut.decode(news[start : start + RECORD]))
        self._stored = len(self._to_hand_out)  # none but these still wait, and they may all

    def _take(self, handed: HandedOut) -> None:
        number, attempt = handed.number, handed.attempt
        self.handed_out += 1
        self.redelivered += attempt > 1
        before = self._attempts[number]
        if attempt <= before:
            self.doubled.append(f"{number} ({handed.id}) came as attempt {attempt} after attempt {before}{self._when}")
        self._attempts[number] = max(attempt, before)
        expected = self._to_hand_out.pop(number, handed.id)
        if handed.id != expected:
            self.lost.append(f"{number} was acknowledged as {expected}, but came as {handed.id}{self._when}")
        if manner_of(number) in _DIES_OF:
            self._to_die.add(number)

    # Its database

    def read_database(self) -> None:
        """Check that what was acknowledged since the last time is among the ids that the store remembers.

        An acknowledgement may come a look after its commit; ids are forgotten only 4,096 later.
        """
        with closing(self._open()) as database:
            rows = database.execute("SELECT last, ids FROM remembered WHERE last > ?", (self._marks[0],)).fetchall()
            found = {id_ for _, ids in rows for _, id_ in json.loads(ids)}
            newest = max((last for last, _ in rows), default=self._marks[-1])
        self._marks.append(newest)
        missing = [id_ for id_ in self._to_find if id_ not in found]
        self.lost += [f"{id_} was acknowledged, but is not remembered{self._when}" for id_ in missing]
        self._to_find.clear()

    def close(self) -> None:
        """Judge what is left when the app has stopped in order."""
        self.read_log()
        self.read_database()
        with closing(self._open()) as database:
            still_open = database.execute("SELECT id FROM inbox").fetchall()
            self.rows = database.execute("SELECT count(*) FROM inbox").fetchone()[0]
            letters = database.execute("SELECT body, id, reason FROM dead_letter").fetchall()
        reasons = {number_of(body): reason for body, _, reason in letters}
        self.dead.update(reasons.values())
        self.lost += [f"{id_} is still open" for (id_,) in still_open]
        self.lost += [f"{id_} died without a reason" for _, id_, reason in letters if not reason]
        self.lost += [
            f"{number} ({id_}) was acknowledged, but neither handed out nor buried"
            for number, id_ in self._to_hand_out.items()
            if number not in reasons
        ]
        self.lost += [
            f"{number} was to end as {_DIES_OF[manner_of(number)]}, but as a dead letter it is {reasons.get(number)}"
            for number in sorted(self._to_die)
            if reasons.get(number) != _DIES_OF[manner_of(number)]
        ]

    @property
    def _when(self) -> str:
        return f" (cycle {self.cycle})"

    def _open(self) -> sqlite3.Connection:
        """Open the database for reading only: that leaves the write-ahead log to the app."""
        return sqlite3.connect(f"{self._database.as_uri()}?mode=ro", uri=True, timeout=5)
