"""``python -m tests.e2e.wal_cuts``: cut and damage the write-ahead log of a store, and see what opens.

The log keeps its length and is written over, so behind what was written last there is what an earlier lap has left. A kill
of the machine can leave any beginning of the new lap on the disk, and of what was not synced yet any sectors. The store
must open as it was after some commit, and not before one that was acknowledged while the log had no more than what is left.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
from attrs import Factory, define, evolve, field, frozen

from tocsin.persistence.sqlite_connection import LOG_SIZE
from tocsin.persistence.sqlite_store import open_sqlite
from tocsin.persistence.store import Changes, DeadPayload, Store
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import PayloadRow
from tocsin.protocol.values import DropReason, NotificationType

HEADER = 32
"""Bytes of the log before its first frame."""

FRAME_HEADER = 24
"""Bytes of a frame before its page."""

SECTOR = 512
"""Bytes that a disk writes as a whole."""

STALE = 65_536
"""Bytes of the earlier lap that are kept behind what was recorded."""

ROUNDS = 40
CHANNEL = "c1"

State = tuple[tuple[tuple[object, ...], ...], tuple[tuple[object, ...], ...]]
"""All rows of the inbox and of the dead letters."""

EMPTY: State = ((), ())


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    """Open the store as the platform does."""
    async with open_sqlite(path) as store:
        yield store


def look(path: Path) -> State:
    """Open the database with plain ``sqlite3``, and read its rows."""
    with closing(sqlite3.connect(path)) as database:
        if not database.execute("SELECT 1 FROM sqlite_schema WHERE name = 'dead_letter'").fetchone():
            return EMPTY
        inbox = database.execute("SELECT sequence, id, attempt, open, body FROM inbox ORDER BY sequence")
        dead = database.execute("SELECT sequence, reason FROM dead_letter ORDER BY sequence")
        return tuple(inbox), tuple(dead)


@define
class Model:
    """What the store has to hold."""

    rows: dict[int, tuple[str, int, int, bytes]] = Factory(dict)
    dead: dict[int, str] = Factory(dict)

    def commit(self, changes: Changes) -> None:
        """Do what the store does."""
        for payload in map(PayloadRow._make, changes.accepted):
            self.rows[payload.sequence] = (payload.id, payload.attempt, 1, payload.body)
        self.dead |= {dead.sequence: str(dead.reason) for dead in changes.dead}
        for sequence in (*changes.handled, *(dead.sequence for dead in changes.dead)):
            del self.rows[sequence]

    def take(self, limit: int) -> None:
        """Raise the attempts of the first that are open."""
        for sequence in self.open()[:limit]:
            id_, attempt, standing, body = self.rows[sequence]
            self.rows[sequence] = (id_, attempt + 1, standing, body)

    def open(self) -> list[int]:
        """Return the sequence numbers of all that are open."""
        return [sequence for sequence, row in self.rows.items() if row[2]]

    def state(self) -> State:
        """Return it as :func:`look` does."""
        return tuple((sequence, *row) for sequence, row in self.rows.items()), tuple(sorted(self.dead.items()))


@define
class Recording:
    """A store in the second lap of its log, which was not folded since, and what it held after each commit of that lap."""

    database: bytes = b""
    log: bytes = b""
    before: bytes = b""
    """The log when the first lap was at its end."""
    states: list[State] = field(factory=list)
    """The first is that of the database without the log."""
    lengths: list[int] = field(factory=lambda: [0])
    """Bytes of the lap when that commit was acknowledged."""

    @property
    def page(self) -> int:
        """Bytes of a page, as the log says."""
        return int.from_bytes(self.log[8:12], "big")

    @property
    def size(self) -> int:
        """Bytes of the lap."""
        return self.lengths[-1]

    def boundaries(self) -> range:
        """Return all lengths at which the lap ends with a whole frame."""
        return range(HEADER, self.size + 1, FRAME_HEADER + self.page)


def content(file: Path) -> bytes:
    """Return what a file holds now."""
    return file.read_bytes()


def lap(log: bytes) -> int:
    """Return the bytes of the current lap of a log: frames of an earlier one have another salt than its header."""
    frame = FRAME_HEADER + int.from_bytes(log[8:12], "big")
    end = HEADER
    while log[end + 8 : end + 16] == log[16:24]:
        end += frame
    return end


async def record(path: Path, chance: random.Random) -> Recording:
    """Make a store and commit to it, alone and several at once, without a checkpoint."""
    model = Model()
    log = path.with_name(f"{path.name}-wal")
    async with opened(path) as store:
        recording = await _first_lap(store, model, log, chance)
        salt = content(log)[16:24]

        async def commit(number: int, changes: Changes) -> None:
            await store.commit(changes)
            recording.lengths[number] = lap(content(log))

        for _ in range(ROUNDS):
            async with anyio.create_task_group() as tasks:
                for _ in range(chance.choice((1, 1, 1, 2, 4))):
                    changes = _changes(model, chance)
                    model.commit(changes)
                    recording.states.append(model.state())
                    recording.lengths.append(0)
                    tasks.start_soon(commit, len(recording.lengths) - 1, changes)
            if chance.random() < 0.2 and model.open():
                limit = chance.randint(1, 20)
                await store.fetch(CHANNEL, 0, limit)
                model.take(limit)
                recording.states.append(model.state())
                recording.lengths.append(lap(content(log)))
        recording.database, recording.log = content(path), content(log)
    assert recording.log[16:24] == salt, "the log was folded: commit less"
    assert len(recording.log) == len(recording.before) == LOG_SIZE, "a commit has made the log longer"
    assert len(set(recording.states)) == len(recording.states), "two commits cannot be told apart"
    return recording


async def _first_lap(store: Store, model: Model, log: Path, chance: random.Random) -> Recording:
    """Commit until the log is written over from its beginning."""
    before = now = b""
    while len(before) < LOG_SIZE or now[16:24] == before[16:24]:
        before, state = content(log), model.state()
        changes = evolve(_changes(model, chance), handled=model.open(), dead=())
        await store.commit(changes)
        model.commit(changes)
        now = content(log)
    return Recording(before=before, states=[state, model.state()], lengths=[0, lap(now)])


def _changes(model: Model, chance: random.Random) -> Changes:
    """Accept some, of up to 4,000 bytes, and end some of those that are open."""
    first = max(model.rows, default=0) + 1
    accepted = [
        PayloadRow(number, f"{number:016X}", NotificationType.RAW, body, chance.randint(0, 1), None, CHANNEL)
        for number, body in enumerate(
            (chance.randbytes(chance.choice((5, 50, 50, 500, 500, 4_000))) for _ in range(chance.randint(1, 8))), first
        )
    ]
    ended = chance.sample(model.open(), min(len(model.open()), chance.randint(0, 4)))
    dead = [DeadPayload(number, DropReason.NOT_HANDLED, "", 1.0) for number in ended[:1]]
    return Changes(accepted=accepted, handled=ended[1:], dead=dead)


@define
class Verdict:
    """What was tried, and what came of it."""

    cuts: int = 0
    reopened: int = 0
    """How many of the cuts went through the platform's own opening too."""
    flips: int = 0
    detected: int = 0
    """How many of the flips were told; after all others the store held what some commit had left."""
    failures: list[str] = Factory(list)


@frozen
class Cutter:
    """Tries damaged copies of a recording in a folder."""

    recording: Recording
    folder: Path
    verdict: Verdict = Factory(Verdict)
    _index: dict[State, int] = field(
        default=Factory(
            lambda self: {state: number for number, state in enumerate(self.recording.states)}, takes_self=True
        ),
        init=False,
    )

    async def cut(self, length: int, *, reopen: bool, chance: random.Random) -> None:
        """Leave so many bytes of the lap, and demand all that was acknowledged by then, whatever is behind them.

        That is nothing, or what was there before, or, by the sector, that or what was written. The header of a lap is synced
        before its frames are written: without it, there is all of the earlier lap.
        """
        log, before = self.recording.log, self.recording.before
        await self._try(log[:length], length, reopen=reopen)
        if length < HEADER:
            await self._try(log[:length] + before[length:], length, reopen=reopen)
            return
        sectors = range(length, self.recording.size + STALE, SECTOR)
        for both in ((before,), (before, log)):
            rest = b"".join(chance.choice(both)[start : start + SECTOR] for start in sectors)
            await self._try(log[:length] + rest, length, reopen=reopen)

    async def _try(self, log: bytes, length: int, *, reopen: bool) -> None:
        copy = self._copy(log)
        if reopen:
            self.verdict.reopened += 1
            async with opened(copy):
                pass
        found = self._index.get(look(copy))
        least = bisect_right(self.recording.lengths, length) - 1
        self.verdict.cuts += 1
        if found is None:
            self.verdict.failures.append(f"cut to {length} bytes, the store holds what no commit left")
        elif found < least:
            self.verdict.failures.append(f"cut to {length} bytes, commit {least} is lost: it holds that of {found}")

    async def flip(self, offset: int, mask: int) -> None:
        """Change one byte of the log: the opening tells, or the store holds what some commit left."""
        log = bytearray(self.recording.log[: self.recording.size + STALE])
        log[offset] ^= mask
        copy = self._copy(log)
        self.verdict.flips += 1
        try:
            async with opened(copy):
                pass
        except StateUnavailable:
            self.verdict.detected += 1
            return
        if look(copy) not in self._index:
            self.verdict.failures.append(f"with byte {offset} changed by {mask}, it holds what no commit left")

    def _copy(self, log: bytes | bytearray) -> Path:
        for file in self.folder.glob("copy*"):
            file.unlink()
        copy = self.folder / "copy.db"
        copy.write_bytes(self.recording.database)
        (self.folder / "copy.db-wal").write_bytes(log)
        return copy


async def run(folder: Path, seed: int, offsets: int, *, every: int = 1) -> tuple[Recording, Verdict]:
    """Cut at the frames' ends and at random offsets, and change bytes in the headers and at a fifth as many.

    :param offsets: how many random offsets.
    :param every: of the frames' ends, each how manieth.
    """
    chance = random.Random(seed)  # noqa: S311  # the same run again, not a secret
    recording = await record(folder / "recorded.db", chance)
    size = recording.size
    cutter = Cutter(recording, folder)
    where: Iterable[int] = [0, *recording.boundaries()[::every], *(chance.randint(0, size) for _ in range(offsets))]
    for number, length in enumerate(where):
        await cutter.cut(length, reopen=number % 10 == 0, chance=chance)  # which takes ten times as long
    for offset in (*range(HEADER + FRAME_HEADER), *(chance.randrange(size) for _ in range(offsets // 5))):
        await cutter.flip(offset, chance.randint(1, 255))
    return recording, cutter.verdict


def main() -> int:
    """Print what was tried; 1 where a store came up with what it must not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.wal_cuts", description=__doc__)
    parser.add_argument("--random", type=int, default=1000, help="how many random offsets (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="decides what is committed and where it is cut")
    arguments = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        recording, verdict = anyio.run(run, Path(folder), arguments.seed, arguments.random)
    sys.stdout.write(
        f"{len(recording.states) - 1} commits, {len(recording.boundaries()) - 1} frames, {recording.size} bytes\n"
        f"{verdict.cuts} cuts, {verdict.reopened} of them opened by the platform too\n"
        f"{verdict.flips} bytes changed: {verdict.detected} told, {verdict.flips - verdict.detected} cut off\n"
        f"{len(verdict.failures)} failures, {time.monotonic() - began:.1f} s\n"
    )
    sys.stdout.writelines(f"  {failure}\n" for failure in verdict.failures[:20])
    return 1 if verdict.failures else 0


if __name__ == "__main__":
    sys.exit(main())
