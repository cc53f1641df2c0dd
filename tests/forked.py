"""Processes that are forked from a server that has imported all of ``tocsin``, so that a start takes some milliseconds.

One that is started by itself takes the better part of a second of processor time to import the same again.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import ByteReceiveStream
from attrs import frozen

from tocsin.cli import VERBS, main

if TYPE_CHECKING:  # where there are none, the tests that use them are skipped
    from multiprocessing.context import ForkServerContext, ForkServerProcess

COMMANDS = tuple(
    f"tocsin.cli.{verb.replace('-', '_')}" for verb in (*VERBS, "calling_serve", "calling_ring", "performing")
)
STORES = ("tocsin.service.server", "tocsin.service.registry.postgres_service_store")
PROGRAMS = (
    *("tests.e2e.crash.victims", "tests.e2e.agent_kills.programs", "tests.e2e.hub_kills.hub_program"),
    *("tests.e2e.calling_kills.programs", "tests.e2e.node_troubles.programs"),
)
"""The modules of what is killed."""


TRUSTED = os.environ.get("SSL_CERT_FILE")
"""The file with the authorities that the server trusts, and so all that it forks."""


def fork_server() -> ForkServerContext:
    """Return the server that all are forked from; it starts with the first of them."""
    context = multiprocessing.get_context("forkserver")
    # Under pytest each process runs the main script again, which imports pytest.
    pytest = ["pytest"] if "pytest" in sys.modules else []
    context.set_forkserver_preload([__name__, *COMMANDS, *STORES, *PROGRAMS, *pytest])
    return context


@frozen
class Output(ByteReceiveStream):
    """What a process writes to one of its descriptors."""

    _pipe: Connection[Any, Any]

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """Wait for something."""
        await anyio.wait_readable(self._pipe)
        if read := os.read(self._pipe.fileno(), max_bytes):
            return read
        raise anyio.EndOfStream

    async def aclose(self) -> None:
        """Read no more."""
        self._pipe.close()


@frozen
class Forked:
    """A process, used as those of anyio are."""

    _process: ForkServerProcess
    stdout: Output
    stderr: Output

    @property
    def pid(self) -> int:
        """Its id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """What it has ended with, below 0 by a signal; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: Signals) -> None:
        """Send it a signal, as long as it runs."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    async def wait(self) -> int:
        """Wait until it has ended, and return what with."""
        while self._process.exitcode is None:
            await anyio.wait_readable(self._process.sentinel)
        return self._process.exitcode


def can_be_forked() -> bool:
    """Tell whether there are such servers, and what is read when modules are imported is as it was: aiohttp's trust is."""
    return "forkserver" in multiprocessing.get_all_start_methods() and os.environ.get("SSL_CERT_FILE") == TRUSTED


@asynccontextmanager
async def forked(*arguments: str) -> AsyncIterator[Forked]:
    """Run ``tocsin`` in the folder and with the variables of this process; what still runs in the end is killed."""
    context = fork_server()
    pipes = [context.Pipe(duplex=False) for _ in range(2)]
    given = (arguments, dict(os.environ) | {"PYTHONWARNINGS": "error"}, Path.cwd(), *(theirs for _, theirs in pipes))
    process = context.Process(target=_run, args=given, daemon=True)
    process.start()
    for _, theirs in pipes:
        theirs.close()  # so that its end is the end of the pipe
    child = Forked(process, *(Output(ours) for ours, _ in pipes))
    try:
        yield child
    finally:
        with anyio.CancelScope(shield=True):
            child.kill()
            await child.wait()
            for ours, _ in pipes:
                ours.close()
            process.close()


def _run(
    arguments: Sequence[str],
    env: dict[str, str],
    folder: Path,
    output: Connection[Any, Any],
    errors: Connection[Any, Any],
) -> None:
    """Be ``python -W error -m tocsin``."""
    gc.freeze()  # what was imported for all stays, and is to remain in memory that is shared
    for pipe, number in ((output, 1), (errors, 2)):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # for as long as the process lives
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    warnings.simplefilter("error")
    sys.argv = ["tocsin", *arguments]
    sys.exit(main())
