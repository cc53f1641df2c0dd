"""Cancels a program at one turn of its event loop, and looks for what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import selectors
import sys
import threading
import time
import warnings
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, unique
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from attrs import Factory, define, frozen

from tocsin.persistence.state_folder import state_folder

PATIENCE = 15.0
"""Seconds after which a run that was cancelled counts as one that hangs; it takes a few milliseconds."""


@frozen
class Program:
    """What is cancelled."""

    run: Callable[[Path], Coroutine[Any, Any, None]]
    """It gets a state folder."""
    resumes: bool = True
    """Whether it can begin with what a run that was cancelled has left in the folder."""
    uses_unix_streams: bool = True
    """Whether it uses anyio's Unix sockets: they set a result once more where they were cancelled in the turn in which it came."""


@unique
class How(Enum):
    """The ways to cancel a program."""

    TASK = "task"
    """By its task, as ``asyncio.wait_for`` and Ctrl-C do."""
    AGAIN = "again"
    """By its task, and once more at each turn from then on."""
    TIMEOUT = "timeout"
    """By ``asyncio.timeout``."""
    SCOPE = "scope"
    """By a cancel scope of anyio."""
    LOOP = "loop"
    """With all other tasks of the loop, as ``asyncio.run`` does when its main function ends before them."""


@define
class Report:
    """What became of one run."""

    turns: int = 0
    """How many turns it took."""
    ended: bool = False
    """Whether it came to its end before that turn."""
    faults: list[str] = Factory(list)
    """What should not have been: a hang, another outcome than the cancellation, whatever was left over or complained."""


class _Turns(selectors.DefaultSelector):
    """The selector of a loop, which is asked once a turn: counts them, and cancels."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = 0
        self.strike: Callable[[int], bool] = lambda _: False

    def select(self, timeout: float | None = None) -> Any:
        """Look for what is ready; a task that was cancelled is."""
        self.turn += 1
        return super().select(0 if self.strike(self.turn) else timeout)


def cancel_at(turn: int, how: How, program: Program, folder: Path) -> Report:
    """Run a program, cancel it at that turn, counted from 1, and report."""
    report, turns = Report(), _Turns()
    descriptors, threads = _descriptors(), set(threading.enumerate())
    with _listening(report.faults, how):
        with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(turns)) as runner:
            runner.run(_observe(partial(_Run, turn, how, turns, report, program), partial(program.run, folder)))
        for thread in set(threading.enumerate()) - threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                report.faults.append(f"the thread {thread.name} was left")
        del runner
        gc.collect()
    report.faults += [f"{path} was left open" for path in _left_open(descriptors)]
    with state_folder(folder):  # at once
        return report


class _Run:
    """One run of a program, in its loop."""

    def __init__(self, turn: int, how: How, turns: _Turns, report: Report, program: Program) -> None:
        self._turn = turn
        self._how = how
        self._turns = turns
        self.report = report
        self._forgiven = asyncio.InvalidStateError if program.uses_unix_streams else ()
        self._scope = anyio.CancelScope()
        self._timeout = asyncio.timeout(None)
        self._ended = False

    def begin(self, program: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        """Begin, and count turns from now on."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._complained)
        self._observer = asyncio.current_task()
        self._victim = asyncio.create_task(self._run(program))
        self._begun, self.report.ended = self._turns.turn, True
        self._turns.strike = self._strike
        return self._victim

    def end(self) -> None:
        """Look what has become of it."""
        self._turns.strike = lambda _: False
        self.report.turns = self._turns.turn - self._begun
        left = [repr(task) for task in asyncio.all_tasks(self._loop) - {self._observer}]
        self.report.faults += [f"left over: {task}" for task in left]
        if not self._victim.done():
            self.report.faults.append("it hangs")
            return
        outcome = "cancelled" if self._victim.cancelled() else repr(self._victim.exception())
        expected = {How.TIMEOUT: "TimeoutError()", How.SCOPE: "None"}.get(self._how, "cancelled")
        if outcome != expected and not (self._ended and outcome == "None"):
            self.report.faults.append(f"it came out as {outcome}")

    async def _run(self, program: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with self._scope:
            async with self._timeout:
                await program()
                self._ended = True
        if self._victim.cancelling():
            self.report.faults.append("it ended, and its task is still being cancelled")

    def _strike(self, now: int) -> bool:
        """Cancel, if it is time; tell whether it was."""
        turn = now - self._begun
        if turn != self._turn and not (turn > self._turn and self._how is How.AGAIN):
            return False
        self.report.ended = False
        match self._how:
            case How.TASK | How.AGAIN:
                self._victim.cancel()
            case How.TIMEOUT:
                with suppress(RuntimeError):  # in its first turn it has not been entered
                    self._timeout.reschedule(self._loop.time())
            case How.SCOPE:
                self._scope.cancel()
            case How.LOOP:
                for task in asyncio.all_tasks(self._loop) - {self._observer}:
                    task.cancel()
        return True

    def _complained(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not isinstance(context.get("exception"), self._forgiven):
            self.report.faults.append(f"the loop was told: {context!r}")


async def _observe(make: Callable[[], _Run], program: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run = make()
    await asyncio.wait({run.begin(program)}, timeout=PATIENCE)
    run.end()


def _left_open(before: Collection[int]) -> list[str]:
    """Return what has been opened and is not closed; a peer in another thread has a moment to close its end."""
    deadline = time.monotonic() + PATIENCE
    while True:
        left = [path for descriptor, path in _descriptors().items() if descriptor not in before]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.001)  # nothing tells when another thread has closed a socket


def _descriptors() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # numbers
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115  # it may be a socket
        except FileNotFoundError:  # that of the listing itself
            continue
    return found


@contextmanager
def _listening(faults: list[str], how: How) -> Iterator[None]:
    """Take what the interpreter complains of, and what is logged, for a fault."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            faults.append(f"it was logged: {self.format(record)}")

    def complained(complaint: sys.UnraisableHookArgs) -> None:
        said = f"{complaint.exc_value!r} of {complaint.object!r}"
        # Cancelled before they began, anyio's tasks do not begin their coroutines, and asyncio's own do not close what
        # they have accepted.
        if not (how is How.LOOP and ("was never awaited" in said or "unclosed <socket.socket" in said)):
            faults.append(said)

    def thread_ended(ended: threading.ExceptHookArgs) -> None:
        faults.append(f"a thread ended with {ended.exc_value!r}")

    handler, hook, thread_hook = Handler(logging.WARNING), sys.unraisablehook, threading.excepthook
    logging.getLogger().addHandler(handler)
    sys.unraisablehook, threading.excepthook = complained, thread_ended
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    finally:
        sys.unraisablehook, threading.excepthook = hook, thread_hook
        logging.getLogger().removeHandler(handler)


@define
class Sweep:
    """The runs of one program that is cancelled in one way."""

    runs: int = 0
    turns: int = 0
    """How many turns the longest took."""
    faults: dict[int, list[str]] = Factory(dict)
    """By the turn at which it was cancelled."""


_SAME_FOLDER = 8  # runs one after the other, so that most begin with what another has left


def sweep(program: Program, how: How, folder: Path, *, start: int = 1, stride: int = 1) -> Sweep:
    """Cancel a program at each turn, or at every so many, until it ends by itself."""
    result, same_folder = Sweep(), _SAME_FOLDER if program.resumes else 1
    cancel_at(1_000_000, How.TASK, program, folder / "warm")  # imports and the like leave things behind
    gc.freeze()  # for good, as with what pytest has collected: what there is now is not looked at again after each run
    for number, turn in enumerate(range(start, 100_000, stride)):
        report = cancel_at(turn, how, program, folder / f"{number // same_folder}")
        result.runs += 1
        result.turns = max(result.turns, report.turns)
        if report.faults:
            result.faults[turn] = report.faults
        if report.ended:
            break
    return result
