"""A command of the user's that is run for each payload: ``tocsin listen --exec``."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
from contextlib import suppress
from subprocess import PIPE

import anyio
from anyio.abc import Process
from attrs import frozen

from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.protocol.errors import InvalidArgument, PlatformUnavailable
from tocsin.protocol.text import harmless, quoted

_KILLED = -9  # as Popen says that of a process; Windows has no such signal, and no name for it


@frozen
class PayloadCommand:
    """Runs the command, once for each payload: the body is its standard input, and the environment says the rest.

    :param words: the program and its arguments; no shell looks at them.
    :param output: the descriptor that its standard output goes to; None for this process's own.
    """

    words: tuple[str, ...]
    output: int | None

    def check(self) -> None:
        """See that the program is there, before the first payload comes.

        :raises InvalidArgument: it is not.
        """
        if shutil.which(self.words[0]) is None:
            raise InvalidArgument(f"--exec: there is no program {quoted(self.words[0])} that may be run")

    async def run(self, args: PushNotificationReceivedEventArgs) -> int:
        """Run it to its end, and return its exit code, negative for the signal that has ended it.

        When the work on the payload is cancelled, as after 30 s, it is killed, with what it has started.

        :raises PlatformUnavailable: it cannot be started.
        """
        with anyio.CancelScope() as scope:
            token = args.canceled(lambda _: scope.cancel())
            try:
                return await self._run(args)
            finally:
                args.remove_canceled(token)
        return _KILLED

    async def _run(self, args: PushNotificationReceivedEventArgs) -> int:
        about = {"ID": args.id, "TYPE": str(args.type), "TAG": args.tag, "GROUP": args.group}
        about["ATTEMPT"] = str(args.attempt)
        environment = os.environ | {f"TOCSIN_{name}": value.replace("\0", "") for name, value in about.items()}
        process: Process | None = None
        try:
            with anyio.CancelScope(shield=True):  # cut short, what it has started by then would stay
                process = await anyio.open_process(
                    self.words, stdin=PIPE, stdout=self.output, stderr=None, env=environment, start_new_session=True
                )
        except (OSError, ValueError) as failure:
            words = getattr(failure, "strerror", None) or failure
            raise PlatformUnavailable(f"--exec: {quoted(self.words[0])} cannot be started: {words}") from failure
        assert process is not None  # noqa: S101  # a shielded scope swallows nothing
        async with process:
            try:
                await _feed(process, args.payload)
                return await process.wait()
            finally:
                _end(process)


async def _feed(process: Process, body: bytes) -> None:
    """Write the body, as far as the command reads it."""
    if process.stdin is not None:
        with suppress(anyio.BrokenResourceError, OSError):
            await process.stdin.send(body)
        with suppress(anyio.BrokenResourceError, OSError):
            await process.stdin.aclose()


def _end(process: Process) -> None:
    """Kill a command that has not ended, with what it has started."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)


def command_words(text: str) -> tuple[str, ...]:
    """Return the words of a command, quoted as for a shell."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no command: {harmless(wrong)}") from None
    if not words:
        raise argparse.ArgumentTypeError("a command has a program, and this one is empty")
    return words
