"""A process that may outlive what starts it: started without a shell, watched by a descriptor, stopped with all that it has started.

Apps that are launched are such processes, and so is what opens links. asyncio kills its children when it lets go of them, and
``Popen`` complains about those that it has not seen end, so only the start is ``Popen``'s. POSIX only; elsewhere than on Linux,
where kqueue tells of a process's end, it is untried.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress

import anyio
from attrs import frozen

from tocsin.process_session import members


@frozen
class ProcessEnd:
    """How a process has ended; its text says so.

    :param code: its exit status, negative for the signal that has ended it; None where that is not known.
    """

    code: int | None

    @property
    def was_killed(self) -> bool:
        """Whether a signal has ended it, and not the process itself."""
        return self.code is not None and self.code < 0

    def __str__(self) -> str:
        if self.code is None:
            return "ended"
        return (
            f"was ended by signal {_signal_name(-self.code)}"
            if self.code < 0
            else f"ended with exit status {self.code}"
        )


@frozen
class ChildProcess:
    """A process in a session of its own, whose number is also that of the group with what it starts."""

    pid: int
    end: int
    """A descriptor that can be read when the process has ended."""

    @classmethod
    def start(cls, words: Sequence[bytes], folder: bytes, environment: Mapping[bytes, bytes]) -> ChildProcess:
        """Start a process; it may block for as long as the file system does.

        :raises OSError: it cannot be started; ``filename`` is the folder where that was why.
        """
        child = subprocess.Popen(  # noqa: S603  # the user's own command
            words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, start_new_session=True, close_fds=True
        )
        child.returncode = 0  # it is taken leave of here, and not by Popen
        try:
            return cls(child.pid, open_end(child.pid))
        except OSError:  # no descriptor is left: what cannot be watched must not run
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            _wait(child.pid)
            raise

    async def wait(self) -> None:
        """Wait until it has ended."""
        await anyio.wait_readable(self.end)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and to what it has started, but for what has left its session; elsewhere than on Linux, its group."""
        for group in {self.pid} | {member.group for member in members(self.pid)}:
            with suppress(ProcessLookupError, PermissionError):  # it has just ended, or is another user's by now
                os.killpg(group, number)

    def reap(self) -> ProcessEnd:
        """Take leave of it after its end, and return how it ended."""
        end = ProcessEnd(_wait(self.pid))
        self.release()
        return end

    def release(self) -> None:
        """Watch it no longer."""
        os.close(self.end)


if sys.platform == "linux":

    def open_end(pid: int) -> int:
        """Return a descriptor that can be read when the process of that number has ended.

        :raises ProcessLookupError: there is no such process.
        """
        return os.pidfd_open(pid)

elif sys.platform != "win32":

    def open_end(pid: int) -> int:
        """Return a descriptor that can be read when the process of that number has ended."""
        queue = select.kqueue()
        try:
            exits = select.kevent(pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
            queue.control([exits], 0)
        except ProcessLookupError:  # it has ended already: so does what is read from here
            ended, writer = os.pipe()
            os.close(writer)
            return ended
        else:
            return os.dup(queue.fileno())
        finally:
            queue.close()


def _wait(pid: int) -> int | None:
    """Return the exit code of a process that has ended, negative for a signal; None where another has taken it."""
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return str(number)
