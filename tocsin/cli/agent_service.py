"""The agent as a service of this user's systemd: ``tocsin agent install`` and ``uninstall``."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import anyio

from tocsin.cli.terminal import complain, show
from tocsin.protocol.errors import InvalidArgument, NotSupported, PlatformUnavailable
from tocsin.protocol.platform.agent_units import (
    SERVICE_UNIT,
    SOCKET_UNIT,
    USERS_SOCKET,
    is_ours,
    service_unit,
    socket_unit,
)
from tocsin.protocol.sending.sign_in import split_service_url
from tocsin.protocol.text import harmless
from tocsin.transport.agent_socket import VARIABLE, default_socket, fault_of_path, unit_folder
from tocsin.transport.unix_server import is_served

_UNITS = (SOCKET_UNIT, SERVICE_UNIT)
_PATIENCE = 90.0  # seconds: an agent that is stopped brings to its end what it is at


def install(arguments: argparse.Namespace) -> int:
    """Write the units, and start listening where systemd answers."""
    words = _command(arguments)
    if shutil.which("systemctl") is None:
        command = shlex.join(["tocsin", *words[4:]])
        raise NotSupported(f"this system has no systemd: let what starts your session start '{command}'")
    named = arguments.socket or os.environ.get(VARIABLE)
    socket = Path(os.path.abspath(named)) if named else default_socket()  # noqa: PTH100  # as above
    fault = fault_of_path(socket)
    if fault:
        raise InvalidArgument(f"no agent can listen on {socket}: {fault}")
    listen = str(socket).replace("%", "%%") if named else USERS_SOCKET
    texts = {SOCKET_UNIT: socket_unit(listen), SERVICE_UNIT: service_unit(words)}
    paths = [unit_folder() / name for name in texts]
    strange = [path for path in paths if not _may_be_written(path)]
    if strange and not arguments.force:
        raise InvalidArgument(f"{strange[0]} was not written by 'tocsin agent install'; --force overwrites it")
    answers = _systemctl("daemon-reload")
    if not (answers and _systemctl("is-active", "--quiet", SOCKET_UNIT)) and anyio.run(is_served, socket):
        raise PlatformUnavailable(f"an agent serves on {socket} already: end it, then try again")
    for path, text in zip(paths, texts.values(), strict=True):
        _write(path, text)
    follow = f"systemctl --user daemon-reload && systemctl --user enable --now {' '.join(_UNITS)}"
    started = answers and all(_run(*each) for each in (["daemon-reload"], ["enable", *_UNITS], ["restart", *_UNITS]))
    _tell("written", paths, None if started else follow, as_json=arguments.json)
    return 0 if started or not answers else 1


def _command(arguments: argparse.Namespace) -> list[str]:
    """Return the command that the unit runs.

    :raises InvalidArgument: the URL of the push service is none.
    """
    words = [sys.executable, "-P", "-m", "tocsin", "agent", "--state", os.path.abspath(arguments.state)]  # noqa: PTH100  # links stay as they are
    if arguments.service is not None:
        split_service_url(arguments.service, "a push service")  # now, and not when the first app needs it
        words += ["--service", arguments.service]
    words += ["--port", str(arguments.port)] if arguments.port else []
    if arguments.idle_exit is not None:
        words += ["--idle-exit", "never" if arguments.idle_exit == math.inf else str(arguments.idle_exit)]
    for folder in arguments.pictures or ():
        words += ["--pictures", os.path.abspath(folder)]  # noqa: PTH100  # as above
    if arguments.no_desktop:
        words += ["--no-desktop"]
    if arguments.unifiedpush:
        words += ["--unifiedpush"]
    return words


def uninstall(arguments: argparse.Namespace) -> int:
    """Stop listening where systemd answers, and remove the units; state and what is registered stay."""
    there = [path for path in (unit_folder() / name for name in _UNITS) if os.path.lexists(path)]
    ours = [path for path in there if _is_ours(path)]
    for other in set(there) - set(ours):
        complain("tocsin agent", f"{other} was not written by 'tocsin agent install', and stays")
    answers = bool(ours) and _systemctl("daemon-reload")
    stopped = not answers or _run("disable", "--now", *(path.name for path in ours))
    for path in ours:
        path.unlink()
    if answers:
        _systemctl("daemon-reload")
    _tell("removed", ours, None, as_json=arguments.json)
    return 0 if stopped and there == ours else 1


def _may_be_written(path: Path) -> bool:
    return not os.path.lexists(path) or _is_ours(path)


def _is_ours(path: Path) -> bool:
    try:
        return not path.is_symlink() and is_ours(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return False


def _write(path: Path, text: str) -> None:
    """Write a unit as a whole or not at all.

    :raises PlatformUnavailable: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as failure:
        raise PlatformUnavailable(f"{path} cannot be written: {failure.strerror or failure}") from failure


def _systemctl(*words: str) -> bool:
    """Ask this user's systemd, and tell whether it answers that all is well."""
    return _call(words).returncode == 0


def _run(*words: str) -> bool:
    """Let this user's systemd do something, and show what it complains of."""
    result = _call(words)
    if result.returncode != 0:
        said = result.stderr.strip() or f"exit status {result.returncode}"
        complain("tocsin agent", f"systemctl --user {' '.join(words)}: {said}")
    return result.returncode == 0


def _call(words: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    command = ["systemctl", "--user", *words]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)  # noqa: S603  # ours
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {_PATIENCE:g} s")
    except OSError as failure:  # there is no such program
        return subprocess.CompletedProcess(command, 1, "", str(failure))


def _tell(what: str, paths: list[Path], follow: str | None, *, as_json: bool) -> None:
    """Show what was done, and what is left to do."""
    if as_json:
        show(json.dumps({what: [str(path) for path in paths], "next": follow}))
        return
    show("\n".join(harmless(f"{what} {path}") for path in paths) or f"nothing is installed in {unit_folder()}")
    if follow is not None:
        show(f"what is left, where systemd answers this user: {follow}")
    elif what == "written":
        show("systemd listens for apps now, and from each log-on")
