"""A program from its start to its end: what ``asyncio.run`` leaves each program to write itself."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from tocsin.protocol.arguments import check_callable
from tocsin.protocol.errors import IllegalCall, InvalidArgument, PushError
from tocsin.protocol.text import harmless, quoted
from tocsin.tasks import running_loop, running_task

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


def run(main: Callable[[*Ts], Awaitable[T]], *arguments: *Ts) -> T:
    """Run an async program on asyncio, and end it as commands end.

    Ctrl-C and SIGTERM cancel it once, so that all that it has entered is left in order, and the next one ends the process at
    once. It then exits with 130 or 143, as a shell expects, and shows no traceback. An error of ours that nothing has caught
    is one line on standard error, with the exit code 1; ``python -X dev`` shows its traceback. All other errors are raised.

    Example::

        async def main(state: str) -> None:
            async with tocsin.embedded("contoso.mail", state) as manager:
                print(manager.remote_id)

        tocsin.run(main, "./push-state")

    :param main: the async function that is the program; what follows are its arguments: ``tocsin.run(main, "./state")``.
    :raises SystemExit: it was told to end, or has failed with a :class:`PushError`.
    :raises InvalidArgument: ``main`` is no async function, such as ``main()`` in its place.
    :raises IllegalCall: an event loop runs here already.
    """
    if asyncio.iscoroutine(main):
        main.close()  # or Python would complain that it was never awaited
        raise InvalidArgument("run() calls the function itself: leave out the brackets, as in tocsin.run(main)")
    check_callable(main, "a program")
    if running_loop() is not None:
        raise IllegalCall(
            "run() is where a program starts, and an event loop runs here already: await the function instead"
        )
    ending = _Ending()
    try:
        return asyncio.run(_program(main, arguments, ending))
    except asyncio.CancelledError:
        if ending.told is None:
            raise
        sys.exit(128 + ending.told)
    except KeyboardInterrupt:  # before the program began, or behind its end
        sys.exit(128 + signal.SIGINT)
    except (PushError, BaseExceptionGroup) as failed:
        ours = list(_ours(failed))
        if not ours or sys.flags.dev_mode:
            raise
        name = harmless(Path(sys.argv[0]).name) or "python"
        raise SystemExit("\n".join(f"{name}: {each}" for each in ours)) from failed


async def _program(main: Callable[[*Ts], Awaitable[T]], arguments: tuple[*Ts], ending: _Ending) -> T:
    with ending.watched():
        running = main(*arguments)
        if not isinstance(running, Awaitable):
            raise InvalidArgument(f"a program is an async function, which {quoted(main)} is not")
        return await running


class _Ending:
    """The signals that end a program; those that it ignores, or handles by code of its own, are left to it."""

    def __init__(self) -> None:
        self.told: int | None = None
        """The one that came."""
        in_main = threading.current_thread() is threading.main_thread()  # no other is given any
        self._taken = [
            each for each in (signal.SIGINT, signal.SIGTERM) if in_main and signal.getsignal(each) in _DEFAULTS
        ]

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Cancel the task that runs the block at the first signal, and let the next one end the process."""
        task, loop = running_task(), asyncio.get_running_loop()
        assert task is not None  # noqa: S101  # it runs this

        def end(number: int, _: object) -> None:
            self.told = number
            for each in self._taken:
                signal.signal(each, signal.SIG_DFL)
            loop.call_soon_threadsafe(task.cancel)

        before = [(each, signal.signal(each, end)) for each in self._taken]
        try:
            yield
        finally:
            for each, handler in before:
                signal.signal(each, handler)


def _ours(failed: BaseException) -> Iterator[PushError]:
    """Yield the errors of ours that a group consists of, or the one that it is; nothing where there is any other among them."""
    if isinstance(failed, PushError):
        yield failed
    elif isinstance(failed, BaseExceptionGroup) and failed.split(PushError)[1] is None:
        for each in failed.exceptions:
            yield from _ours(each)
