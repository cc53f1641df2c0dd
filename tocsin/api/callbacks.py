"""What an app gives us to call: whatever it raises ends that call, and never more.

Two things go on: a cancellation that a scope around the caller has asked for, and the program's wish to end
(KeyboardInterrupt, SystemExit). A CancelledError of any other origin is an error like others: an app gets one by awaiting
a task that was cancelled.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from anyio.lowlevel import checkpoint

from tocsin.protocol.text import describe_error

logger = logging.getLogger(__name__)

_OF_THE_PROGRAM = (KeyboardInterrupt, SystemExit)


def is_cancelled() -> bool:
    """Tell whether a scope around the caller is cancelled."""
    return anyio.current_effective_deadline() == -math.inf


def goes_on(error: BaseException, ending: Callable[[], bool] = is_cancelled) -> bool:
    """Tell whether what an app has raised is not only about its call: the caller raises it again.

    :param ending: tells whether the task is being cancelled by us.
    """
    if isinstance(error, Exception):
        return False
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(_OF_THE_PROGRAM) is not None or ending()
    return isinstance(error, _OF_THE_PROGRAM) or ending()


def cancel_requests() -> Callable[[], int]:
    """Return what counts the requests to cancel the running task, scopes' included; on trio there are scopes only."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # the event loop is trio's
        task = None
    return _none if task is None else task.cancelling


async def absorb() -> None:
    """Undo that an app has cancelled the running task by itself; a cancellation of ours is raised."""
    try:
        await checkpoint()  # up to Python 3.12 a request that was taken back is raised all the same
    except anyio.get_cancelled_exc_class():
        if is_cancelled():
            raise
    task = asyncio.current_task()
    while task is not None and task.cancelling() and not is_cancelled():
        task.uncancel()


async def call(what: str, function: Callable[..., Awaitable[Any] | Any], *arguments: Any) -> None:
    """Call a function of the app, sync or async, as a task of its own; what it raises is logged."""
    requests = cancel_requests()
    try:
        result = function(*arguments)
        if inspect.isawaitable(result):
            await result
    except BaseException as error:
        if goes_on(error):
            raise
        logger.error("%s failed: %s", what, describe_error(error), exc_info=error)  # noqa: TRY400  # it is no Exception always
    if requests() and not is_cancelled():
        await absorb()


def _none() -> int:
    return 0
