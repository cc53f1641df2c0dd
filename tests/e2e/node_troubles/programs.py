"""The program that is killed: ``tocsin serve``, in a network namespace of its own where there is one."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Any, Final

import tocsin.service.registry.postgres_service_store  # what is imported before the fork is there at once
import tocsin.service.server  # noqa: F401  # as above
from tests.e2e.crash.victims import Pipe
from tocsin.cli import main

_PR_SET_PDEATHSIG: Final = 1
_CLONE_NEWNET: Final = 0x40000000


def serve_node(pipe: Pipe[Any, Any], namespace: str, log: Path, arguments: tuple[str, ...]) -> None:
    """Run a node until SIGTERM; it ends with the server that it was forked from."""
    pipe.close()
    system = ctypes.CDLL(None, use_errno=True)
    system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if namespace:
        _enter(system, Path("/run/netns") / namespace)
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for output in (1, 2):
        os.dup2(file, output)
    sys.exit(main(["serve", *arguments]))


def _enter(system: ctypes.CDLL, namespace: Path) -> None:
    opened = os.open(namespace, os.O_RDONLY)
    if system.setns(opened, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"{namespace} cannot be entered")
    os.close(opened)
