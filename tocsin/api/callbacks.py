"""What an app gives us to call: whatever it raises ends that call, and never more.

Two things go on: the program's wish to end (KeyboardInterrupt, SystemExit), and a cancellation that is not the app's own
making. An app gets a CancelledError of its own by awaiting a task that was cancelled, by cancelling the task that it runs
in, or by leaving a cancel scope open in it. Where the first is it, that is known at once. Where it may be any of the
others, the task is in doubt: it is used no more, and a task that runs no code of the app's tells.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from inspect import CO_ITERABLE_COROUTINE
from types import GeneratorType
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from tocsin.protocol.text import describe_error, harmless
from tocsin.tasks import running_loop, task_group
from tocsin.traces import trace

logger = logging.getLogger(__name__)

_OF_THE_PROGRAM = (KeyboardInterrupt, SystemExit)
_members: Callable[[BaseException], Iterable[BaseException]] = vars(BaseExceptionGroup)["exceptions"].__get__


class InDoubt(Exception):
    """The task in which it is raised was cancelled while it ran code of the app's; it is used no more."""


def is_awaitable(value: object) -> bool:
    """Tell whether a value can be awaited, without a look at more than its class."""
    if type(value) is GeneratorType:
        return bool(value.gi_code.co_flags & CO_ITERABLE_COROUTINE)
    return hasattr(type(value), "__await__")


def program_end(error: BaseException) -> BaseException | None:
    """Return what of an error is the program's wish to end: itself, or the first such in a group; None where nothing is.

    It is raised by itself, for only then does the event loop end at once, and the program with its exit code. Only
    classes are looked at, as members of a class of the app's may do anything.
    """
    errors, seen = [error], set[int]()
    while errors:
        each = errors.pop()
        kind = type(each)
        if issubclass(kind, _OF_THE_PROGRAM):
            return each
        if issubclass(kind, BaseExceptionGroup) and id(each) not in seen:
            seen.add(id(each))
            errors += reversed(tuple(_members(each)))
    return None


def is_cancelled() -> bool:
    """Tell whether a scope around the caller is cancelled."""
    return anyio.current_effective_deadline() == -math.inf


def cancel_requests() -> Callable[[], int]:
    """Return what counts the requests to cancel the running task, scopes' included; on trio there are scopes only."""
    task = asyncio.current_task() if running_loop() else None
    return _none if task is None else task.cancelling


def _none() -> int:
    return 0


async def let_go() -> None:
    """Take what is left of a cancellation, as the last thing in a task: else the task would count as cancelled, and its group too.

    A request that was taken back is raised all the same, up to Python 3.12.
    """
    with suppress(anyio.get_cancelled_exc_class()):
        await checkpoint()


def log_failure(what: str, error: BaseException) -> None:
    """Log what code of the app has raised."""
    words = harmless(describe_error(error))
    try:
        logger.error("%s failed: %s", what, words, exc_info=error)
    except Exception:  # noqa: BLE001  # whatever shows the log may fail over such an error
        with suppress(Exception):
            logger.error("%s failed: %s", what, words)  # noqa: TRY400  # the words are what is sure to work


def _write_trace(record: logging.LogRecord) -> bool:
    """Write the traceback where formatters look first: theirs may fail, and a record with it that cannot be encoded is lost."""
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = trace(record.exc_info[1])
    return True


logger.addFilter(_write_trace)


async def contain(what: str, function: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
    """Run what calls functions of the app in a task, and a group, of its own: what they do to the task ends with it.

    Such as a cancel scope, or a group, that was entered and never left: anyio lets the group of that task fail.
    """
    try:
        async with task_group() as own:
            own.start_soon(function, *arguments, name=what)
    except Exception as error:  # noqa: BLE001  # a scope that was left open, or a fault of ours: neither may end the app
        log_failure(what, error)
    except BaseException as error:
        # asyncio raises the program's end out of its loop at once. Raised here once more, it would cut off the last run of
        # the loop, in which all that runs is cancelled and comes to its end.
        if not (issubclass(type(error), _OF_THE_PROGRAM) and running_loop()):
            raise


async def call(what: str, function: Callable[..., Awaitable[Any] | Any], *arguments: Any) -> None:
    """Call a function of the app, sync or async, as all that a task does; what it raises is logged."""
    requests = cancel_requests()
    try:
        result = function(*arguments)
        if is_awaitable(result):
            await result
    except BaseException as error:  # noqa: BLE001  # the program's own end is raised again
        end = program_end(error)
        if end is not None:
            raise end  # noqa: B904  # as the app has raised it
        if issubclass(type(error), Exception) or not (requests() or is_cancelled()):
            log_failure(what, error)
    await let_go()
