"""The one writer of a database: what waits when it has a turn goes into one transaction.

A write that finds it idle is handed to the database at once, and its callback settles all whose transaction it was: with
SQLite no task lies between. Its rules are :mod:`tocsin.protocol.kernel.durability`. Every transaction sets the database's
commit counter, which tells after a failure whether the transaction is there. Without patience, as a device's inbox has it, a
write waits for as long as the disk is full; with it, as the service's store, it is refused then.
"""

from __future__ import annotations

import logging
from asyncio import Future, TimerHandle, get_running_loop
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from tocsin.durations import Durations
from tocsin.persistence.medium import Medium
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.durability import TABLE, Effect, Event, Phase, RecoveryPolicy
from tocsin.protocol.kernel.machine import step
from tocsin.tasks import Completion, Signal

GROUP = 512
"""Writes that one transaction holds at most."""

logger = logging.getLogger(__name__)


class _Write(Completion):
    """Statements that a caller waits for; those whose caller has gone, or has been told of a failure, are not run any more."""

    __slots__ = ("begun", "statements", "timer")

    def __init__(self, statements: Sequence[Any]) -> None:
        super().__init__()
        self.statements = statements
        self.begun = False
        """Whether they had their turn, so that they may be on disk."""
        self.timer: TimerHandle | None = None
        """What ends the patience of its caller; None where that has no end."""

    def complete(self, failure: Exception | None = None) -> None:
        """Let the caller go on."""
        self._forget()
        super().complete(failure)

    def withdraw(self) -> None:
        """Keep nothing for a caller that has gone."""
        self._forget()
        super().withdraw()

    def _forget(self) -> None:
        self.statements = ()
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Writer:
    """Commits groups, until it is closed.

    :param number: that of the last transaction.
    :param patience: seconds that a write waits at most; what comes during a fault is then refused at once. None: all wait
        for its end.
    """

    def __init__(self, medium: Medium, number: int, patience: float | None) -> None:
        self.fault: str | None = None
        """Why nothing can be written just now; None while all is well."""
        self.on_fault: Callable[[str | None], None] | None = None
        """Called with each ``fault`` and, when it has passed, with None."""
        self.durations = Durations()
        """How long transactions took, those that failed as well."""
        self._loop = get_running_loop()
        self._medium = medium
        self._number = number
        self._began = 0.0
        """When the transaction that is under way began."""
        self._patience = patience
        self._policy = RecoveryPolicy()
        self._phase = Phase.SOUND
        self._reason = ""
        self._failures = 0
        self._waiting: deque[_Write] = deque()
        self._group: list[_Write] = []
        self._apart = 0
        """How many of the first that wait are to be run each by itself."""
        self._backing_off: TimerHandle | None = None
        self._is_busy = False
        """Whether a group is on its way to its end."""
        self._is_closed = self._is_abandoned = False
        self._defect: Exception | None = None
        self._news: deque[str | None] = deque()
        """What ``fault`` has been, and was not told yet."""
        self._noted = Signal()
        self._idle: Future[None] | None = None
        """What :meth:`close` waits for."""
        self._perform: dict[Effect, Callable[[], None]] = {
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

    def write(self, statements: Sequence[Any]) -> Completion:
        """Return what comes when the statements are on disk, all of them in one transaction.

        A caller that withdraws before the statements had their turn has written nothing.

        :raises StateUnavailable: here or where it is waited for: a statement is wrong, the file is corrupt, the writer was
            closed before it was known what became of them, or, where its patience is limited, it came to its end or there is
            a fault.
        """
        if self.fault is not None and (self._patience is not None or self._phase is Phase.BROKEN):
            raise StateUnavailable(self.fault)
        if self._is_closed:
            raise self._closed()
        write = _Write(statements)
        if self._patience is not None:
            write.timer = self._loop.call_later(self._patience, self._lose_patience, write)
        self._waiting.append(write)
        self._go_on()
        return write

    async def tell_faults(self) -> None:
        """Tell of each fault and of its end, until the writer is abandoned: it is told from a task, which may use anyio.

        A defect, of the writer or of what is told, is raised here.
        """
        while not self._is_abandoned:
            await self._noted.wait()
            while self._news:
                fault = self._news.popleft()
                if self.on_fault is not None:
                    self.on_fault(fault)
        if self._defect is not None:
            raise self._defect

    async def close(self) -> None:
        """Take nothing more, and wait until what waits is committed, but not for the end of a fault."""
        self._is_closed = True
        if self._backing_off is not None:
            self._backing_off.cancel()
            self._happened(Event.CLOSE)
        if self._is_busy:
            self._idle = self._loop.create_future()
            await self._idle

    def abandon(self) -> None:
        """Refuse what still waits, and hear of nothing more."""
        self._is_closed = self._is_abandoned = True
        if self._backing_off is not None:
            self._backing_off.cancel()
        for write in (*self._group, *self._waiting):
            write.complete(self._closed(in_doubt=write.begun))
        self._group, self._is_busy = [], False
        self._waiting.clear()
        self._go_on()
        self._noted.set()

    def _closed(self, *, in_doubt: bool = False) -> StateUnavailable:
        return StateUnavailable(f"{self._medium.name} is closed", in_doubt=in_doubt)

    def _lose_patience(self, write: _Write) -> None:
        """Tell that a write has waited for too long, and that others need not begin to wait."""
        if not write.is_over:
            if self._phase is Phase.SOUND:
                self._reason = f"{self._medium.name} has not been written for {self._patience:g} s"
            self._happened(Event.OVERDUE)
            write.complete(StateUnavailable(self.fault or self._reason, in_doubt=write.begun))

    def _go_on(self) -> None:
        """Run the next group that is still waited for, unless one is on its way."""
        while self._waiting and not self._is_busy:
            size = 1 if self._apart else GROUP
            self._apart = max(self._apart - 1, 0)
            while self._waiting and len(self._group) < size:
                write = self._waiting.popleft()
                if not write.is_over:
                    self._group.append(write)
            if self._group:
                self._number += 1
                self._failures = 0
                self._run()
        if self._idle is not None and not self._is_busy and not self._idle.done():
            self._idle.set_result(None)

    def _run(self) -> None:
        """Run the group as one transaction; where nothing is left of it, that sets the counter alone."""
        self._is_busy = True
        statements: list[Any] = []
        for write in self._group:
            write.begun = True
            statements += write.statements
        self._began = self._loop.time()
        self._medium.transact(statements, self._number, self._transacted)

    def _end(self, failure: StateUnavailable | None) -> None:
        """Settle the group."""
        for write in self._group:
            write.complete(failure)
        self._group, self._is_busy = [], False

    # Events: from the thread, from timers, and at the close

    def _happened(self, event: Event) -> None:
        if self._is_abandoned:
            return
        try:
            self._phase, effects = step(TABLE, self._phase, event)
            for effect in effects:
                self._perform[effect]()
            self._go_on()
        except Exception as defect:  # noqa: BLE001  # raised in the writer's task; no caller may wait for ever
            self._defect = defect
            self.abandon()

    def _transacted(self, _: None, failure: BaseException | None) -> None:
        self.durations.add(self._loop.time() - self._began)
        self._happened(Event.COMMITTED if failure is None else self._failed(failure))

    def _asked(self, there: int, failure: BaseException | None) -> None:
        if failure is None:
            self._happened(Event.FOUND if there >= self._number else Event.MISSING)
        else:  # whatever it is, if it is no damage, it may pass
            self._happened(Event.CORRUPT if self._failed(failure) is Event.CORRUPT else Event.FAILED)

    def _failed(self, failure: BaseException) -> Event:
        event, self._reason = self._medium.judge(failure)
        return event

    def _waited(self) -> None:
        self._backing_off = None
        self._happened(Event.WAITED)

    # Effects

    def _settle(self) -> None:
        self._end(None)
        if not self._is_closed:
            self._medium.settled()

    def _run_each(self) -> None:
        """Refuse a write that is alone in its group; else run each by itself."""
        if len(self._group) > 1:
            self._waiting.extendleft(reversed(self._group))
            self._apart = len(self._group)
            self._group = []
        self._end(StateUnavailable(self._reason))

    def _run_again(self) -> None:
        """Run the group, which is not there, once more, without those whose callers have gone."""
        self._group = [write for write in self._group if not write.is_over]
        self._run()

    def _back_off(self) -> None:
        if self._is_closed:
            self._happened(Event.CLOSE)
        else:
            self._failures += 1
            self._backing_off = self._loop.call_later(self._policy.wait(self._failures), self._waited)

    def _ask(self) -> None:
        """Open the database anew, and look for the group."""
        self._medium.ask(self._asked)

    def _give_up(self) -> None:
        self._tell(self._reason)
        self._end(StateUnavailable(self._reason, in_doubt=True))
        self._refuse_all()

    def _tell_fault(self) -> None:
        logger.error("nothing is written until this has passed: %s", self._reason)
        self._tell(self._reason)

    def _tell_recovery(self) -> None:
        logger.warning("%s can be written again", self._medium.name)
        self._tell(None)

    def _refuse_waiting(self) -> None:
        if self._patience is not None:
            self._refuse_all()

    def _refuse_all(self) -> None:
        for write in self._waiting:
            write.complete(StateUnavailable(self._reason))
        self._waiting.clear()
        self._apart = 0

    def _tell(self, fault: str | None) -> None:
        self.fault = fault
        self._news.append(fault)
        self._noted.set()
