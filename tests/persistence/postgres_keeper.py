"""Runs a server's command, and leaves none of its processes behind: how it ends, or the tests do, makes no difference.

What a killed server leaves does not always end by itself: a process that stands still, or that waits for a lock of a dead one.
Orphans come to this process, which kills them. It writes the id of the server, and kills all of it when its input ends, which a
killed process of the tests cannot fail to bring about. A file of its own that needs no library, to be started fast.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    """Run the command to its end, or to that of the input."""
    if ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)  # noqa: S603  # what the tests name
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.flush()
    with selectors.DefaultSelector() as ready:
        ready.register(os.pidfd_open(server.pid), selectors.EVENT_READ)
        ready.register(sys.stdin, selectors.EVENT_READ)
        ready.select()
    server.kill()  # before others: it would make new ones
    code = server.wait()
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while pids := children.read_text().split():
        for pid in pids:
            os.kill(int(pid), signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(int(pid), 0)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
