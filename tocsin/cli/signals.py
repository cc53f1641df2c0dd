"""How a service that runs in a terminal, or under a service manager, is told to end and to read its certificate anew."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from tocsin.cli.terminal import complain
from tocsin.tasks import task_group


@asynccontextmanager
async def until_signalled(speaker: str) -> AsyncIterator[Any]:
    """Cancel the block on SIGINT or SIGTERM, once; the next one ends the process. Give what waits for SIGHUP."""
    ending = [signal.SIGINT, signal.SIGTERM]
    reloading = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []
    hung_up = anyio.Event()

    async def wait() -> None:
        nonlocal hung_up
        await hung_up.wait()
        hung_up = anyio.Event()

    async with task_group() as tasks:

        async def watch(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            with anyio.open_signal_receiver(*ending, *reloading) as signals:
                task_status.started()
                async for number in signals:
                    if number in ending:
                        break
                    hung_up.set()
            for number in ending:
                signal.signal(number, signal.SIG_DFL)
            complain(speaker, "stopping; once more ends it at once")
            tasks.cancel_scope.cancel()

        await tasks.start(watch)
        yield wait
        tasks.cancel_scope.cancel()
