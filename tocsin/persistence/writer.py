"""The one writer of a database: what waits when it has a turn goes into one transaction, in one hop to its thread.

Its rules are :mod:`tocsin.protocol.kernel.durability`. Every transaction sets the database's commit counter, which tells after a
failure whether the transaction is there. Without patience, as a device's inbox has it, a write waits for as long as the disk is
full; with it, as the service's store, it is refused then.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import anyio
from anyio import BrokenResourceError, ClosedResourceError, WouldBlock, create_memory_object_stream, to_thread
from attrs import define, field

from tocsin.persistence.failure_words import FAILURES, sentence
from tocsin.persistence.place import Place
from tocsin.persistence.sqlite_connection import ReaderConnection, Statement, WriterConnection, log_is_long, renew
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.durability import TABLE, Effect, Event, Phase, RecoveryPolicy, classify
from tocsin.protocol.kernel.machine import step

QUEUE = 1_024
"""Writes that may wait for the writer; a caller with one more waits for room."""

GROUP = 512
"""Writes that one transaction holds at most."""

CHECKPOINT_AFTER = 65_536
"""Values (a payload has seven) after which the log is folded into the file, beside the writer."""

TRANSACTION = 128
"""What a transaction counts for beside its values: however little it changes, it writes some pages."""

logger = logging.getLogger(__name__)


@define(eq=False)
class _Write:
    """Statements that a caller waits for, unless they were withdrawn."""

    statements: Sequence[Statement]
    settled: anyio.Event = field(factory=anyio.Event)
    failure: Exception | None = None
    begun: bool = False
    """Whether they had their turn, so that they may be on disk."""
    withdrawn: bool = False
    """Whether the caller has gone: they are not run any more."""


class Writer:
    """Commits groups, until it is closed; its task is :meth:`run`.

    :param place: looked at after each commit; what is not under the database's name does not count as written.
    :param reader: the connection that has to be opened anew with the other where the log was taken away.
    :param patience: seconds that a write waits at most; what comes during a fault is then refused at once. None: all wait
        for its end.
    """

    def __init__(
        self, path: Path, place: Place, connection: WriterConnection, reader: ReaderConnection, patience: float | None
    ) -> None:
        self.fault: str | None = None
        """Why nothing can be written just now; None while all is well."""
        self.on_fault: Callable[[str | None], None] | None = None
        """Called whenever ``fault`` changes."""
        self._path = path
        self._place = place
        self._connection = connection
        self._reader = reader
        self._patience = patience
        self._policy = RecoveryPolicy()
        self._send, self._queue = create_memory_object_stream[_Write](QUEUE)
        self._closing = anyio.Event()
        self._checkpoint_due = anyio.Event()
        self._phase = Phase.SOUND
        self._reason = ""
        self._failures = 0
        self._values = 0
        self._log_is_long: anyio.Event | None = None
        """Set by the writer when it has folded a log that is too long; None while it is not."""
        self._group: list[_Write] = []
        self._perform: dict[Effect, Callable[[], Awaitable[Event | None]]] = {
            Effect.SETTLE: self._settle,
            Effect.RUN_EACH: self._run_each,
            Effect.RUN_AGAIN: self._run_again,
            Effect.TELL_FAULT: self._tell_fault,
            Effect.TELL_RECOVERY: self._tell_recovery,
            Effect.REFUSE_WAITING: self._refuse_waiting,
            Effect.BACK_OFF: self._back_off,
            Effect.ASK: self._ask,
            Effect.GIVE_UP: self._give_up,
        }

    async def write(self, statements: Sequence[Statement]) -> None:
        """Wait until the statements are on disk, all of them in one transaction.

        Who is cancelled before the statements had their turn has written nothing.

        :raises StateUnavailable: a statement is wrong, the file is corrupt, the writer was closed before it was known
            what became of them, or, where its patience is limited, it came to its end or there is a fault.
        """
        if self.fault is not None and self._patience is not None:
            raise StateUnavailable(self.fault)
        write = _Write(statements)
        if self._patience is None:  # a payload waits here on its way: no more than it needs
            await self._wait(write)
        else:
            with anyio.move_on_after(self._patience):
                await self._wait(write)
        if write.withdrawn:
            await self._leave(write)
        if write.failure is not None:
            raise write.failure

    async def _wait(self, write: _Write) -> None:
        """Queue a write, and wait until it is settled; it is withdrawn by who is cancelled."""
        try:
            try:
                self._send.send_nowait(write)
            except WouldBlock:
                await self._send.send(write)
            await write.settled.wait()
        except (ClosedResourceError, BrokenResourceError):
            raise StateUnavailable(f"{self._path} is closed") from None
        finally:
            write.withdrawn = not write.settled.is_set()

    async def _leave(self, write: _Write) -> None:
        """Tell that a write's patience is at its end, and that others need not begin to wait.

        :raises StateUnavailable: always.
        """
        if self._phase is Phase.SOUND:
            self._reason = f"{self._path} has not been written for {self._patience:g} s"
        if self._phase is not Phase.BROKEN:
            await self._follow(self._step(Event.OVERDUE))
        raise StateUnavailable(self.fault or self._reason, in_doubt=write.begun)

    async def run(self) -> None:
        """Commit what comes, until closed; what was put before the end is committed before this returns."""
        with anyio.CancelScope(shield=True):  # it ends by being closed, when all who write have left
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._keep_log_short)
                    async for first in self._queue:
                        await self._commit(self._take(first))
                    tasks.cancel_scope.cancel()
            finally:
                self.abandon()
                await self._connection.close()

    def close(self) -> None:
        """Take nothing more; :meth:`run` commits what waits and returns, without waiting for the end of a fault."""
        self._send.close()
        self._closing.set()

    def abandon(self) -> None:
        """Refuse what still waits: :meth:`run` has ended, or was cancelled before it began."""
        self.close()
        with suppress(WouldBlock, anyio.EndOfStream, ClosedResourceError):
            while True:
                self._group.append(self._queue.receive_nowait())
        self._queue.close()
        for write in self._group:
            if not write.settled.is_set():
                write.failure = StateUnavailable(f"{self._path} is closed", in_doubt=write.begun)
                write.settled.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def _take(self, first: _Write) -> list[_Write]:
        """Return what waits, up to the size of a group."""
        group = [first]
        with suppress(WouldBlock, anyio.EndOfStream):
            while len(group) < GROUP:
                group.append(self._queue.receive_nowait())
        return group

    async def _commit(self, group: list[_Write]) -> None:
        """Bring a group to its end, whatever happens on the way."""
        self._group = group
        if self._phase is Phase.BROKEN:
            self._end(StateUnavailable(self._reason))
        elif self._forget_withdrawn() or self._phase is Phase.OVERDUE:  # then nothing but the counter is written
            self._connection.number += 1
            self._failures = 0
            await self._follow(self._step(await self._run()))

    async def _follow(self, effects: list[Effect]) -> None:
        """Perform what the table asks for, until it asks for nothing more."""
        while effects:
            effect, *effects = effects
            event = await self._perform[effect]()
            if event is not None:  # it says what is to be done now
                effects = self._step(event)

    def _forget_withdrawn(self) -> bool:
        """Drop from the group what was withdrawn, and tell whether there is anything left."""
        self._group = [write for write in self._group if not write.withdrawn]
        return bool(self._group)

    def _step(self, event: Event) -> list[Effect]:
        self._phase, effects = step(TABLE, self._phase, event)
        return list(effects)

    # Effects: each may tell what has happened

    async def _run(self) -> Event:
        """Run the group as one transaction."""
        for write in self._group:
            write.begun = True
        try:
            await self._connection.transact([statement for write in self._group for statement in write.statements])
        except FAILURES as failure:
            return self._failed(failure)
        return Event.COMMITTED

    async def _run_again(self) -> Event:
        """Run the group, which is not there, once more, without those whose callers have gone."""
        self._forget_withdrawn()
        return await self._run()

    async def _ask(self) -> Event:
        """Open the database anew, and look for the group."""
        ours = self._connection.number
        try:
            await renew(self._place, self._connection, self._reader)
            there = self._connection.number
        except FAILURES as failure:
            event = self._failed(failure)
            return Event.CORRUPT if event is Event.CORRUPT else Event.FAILED  # whatever else it is, it may pass
        finally:
            self._connection.number = ours
        return Event.FOUND if there >= ours else Event.MISSING

    async def _back_off(self) -> Event | None:
        self._failures += 1
        with anyio.move_on_after(self._policy.wait(self._failures)):
            await self._closing.wait()
            return Event.CLOSE
        return None

    async def _settle(self) -> None:
        values = sum(len(row) for write in self._group for _, rows in write.statements for row in rows)
        self._values += TRANSACTION + values
        self._end(None)
        if self._values >= CHECKPOINT_AFTER:
            self._values = 0
            self._checkpoint_due.set()
        if self._log_is_long is not None:
            try:
                await self._connection.fold_log()
            except FAILURES as failure:  # the next transaction will say so too
                logger.warning("the log was not folded: %s", sentence(self._path, failure))
            self._log_is_long.set()
            self._log_is_long = None

    async def _run_each(self) -> None:
        """Refuse a write that is alone in its group; else run each by itself."""
        group = self._group
        if len(group) == 1:
            self._end(StateUnavailable(self._reason))
            return
        for write in group:
            await self._commit([write])  # those that were withdrawn meanwhile it leaves out

    async def _give_up(self) -> None:
        self._tell(self._reason)
        self._end(StateUnavailable(self._reason, in_doubt=True))

    async def _tell_fault(self) -> None:
        logger.error("nothing is written until this has passed: %s", self._reason)
        self._tell(self._reason)

    async def _tell_recovery(self) -> None:
        logger.warning("%s can be written again", self._path)
        self._tell(None)

    async def _refuse_waiting(self) -> None:
        with suppress(WouldBlock, anyio.EndOfStream):
            while self._patience is not None:
                write = self._queue.receive_nowait()
                write.failure = StateUnavailable(self._reason)
                write.settled.set()

    def _failed(self, failure: BaseException) -> Event:
        self._reason = sentence(self._path, failure)
        return Event.FAILED if isinstance(failure, OSError) else classify(getattr(failure, "sqlite_errorcode", None))

    def _tell(self, fault: str | None) -> None:
        self.fault = fault
        if self.on_fault is not None:
            self.on_fault(fault)

    def _end(self, failure: Exception | None) -> None:
        for write in self._group:
            write.failure = failure
            write.settled.set()

    async def _keep_log_short(self) -> None:
        """Fold the log into the file beside the writer; what comes meanwhile is left, so it may still grow.

        Where it has become too long, the writer's turn is next: of two who fold at a time, one does nothing.
        """
        while True:
            await self._checkpoint_due.wait()
            self._checkpoint_due = anyio.Event()
            if await to_thread.run_sync(log_is_long, self._path, self._place):
                folded = self._log_is_long = anyio.Event()
                await folded.wait()
