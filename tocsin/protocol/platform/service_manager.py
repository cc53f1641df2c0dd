"""What a service manager says to a process that it starts, by environment variables: systemd, or what speaks as it does.

Its driver is ``tocsin.transport.service_manager``. Source: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted

FIRST_PASSED: Final = 3
"""The descriptor of the first socket that is passed."""

MOST_PASSED: Final = 16
"""Sockets that may be passed."""

AGENT_NAME: Final = "agent"
"""The name of the socket for apps, where several are passed."""

VARIABLES: Final = (
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
)
"""What is meant for one process only: none that it starts may find it."""

_WHOLE: Final = re.compile("[0-9]{1,18}")


def passed_sockets(variables: Mapping[str, str], pid: int) -> dict[int, str]:
    """Return the descriptors of the sockets that the process with that number was started with, and their names.

    :raises InvalidArgument: a variable has no such form, or the sockets are more than 16.
    """
    if "LISTEN_PID" not in variables or "LISTEN_FDS" not in variables or _whole(variables, "LISTEN_PID") != pid:
        return {}
    count = _whole(variables, "LISTEN_FDS")
    if count > MOST_PASSED:
        raise InvalidArgument(f"LISTEN_FDS says that {count} sockets are passed, of {MOST_PASSED} at most")
    names = variables["LISTEN_FDNAMES"].split(":") if variables.get("LISTEN_FDNAMES") else ["unknown"] * count
    if len(names) != count:
        raise InvalidArgument(f"LISTEN_FDNAMES has {len(names)} names for {count} sockets (LISTEN_FDS)")
    return dict(enumerate(names, FIRST_PASSED))


def choose_socket(names: Mapping[int, str]) -> int:
    """Return the descriptor of the socket for apps: the only one, or the one that is called ``agent``.

    :raises InvalidArgument: it cannot be told which one it is.
    """
    if len(names) == 1:
        return next(iter(names))
    called = [descriptor for descriptor, name in names.items() if name == AGENT_NAME]
    if len(called) == 1:
        return called[0]
    given = ", ".join(map(quoted, names.values()))
    raise InvalidArgument(
        f"{len(names)} sockets are passed ({given}): one is right, or one that is called {AGENT_NAME!r} (LISTEN_FDNAMES)"
    )


def notify_address(variables: Mapping[str, str]) -> str | None:
    """Return the address of the Unix socket that takes notes of how the process does; None where there is none.

    :raises InvalidArgument: it is neither an absolute path nor, with ``@`` before it, an abstract name.
    """
    given = variables.get("NOTIFY_SOCKET")
    if not given:
        return None
    if len(given) < 2 or given[0] not in "/@":
        raise InvalidArgument(f"NOTIFY_SOCKET is {quoted(given)}, but has to begin with '/' or '@'")
    return "\0" + given[1:] if given[0] == "@" else given


def watchdog_interval(variables: Mapping[str, str], pid: int) -> float | None:
    """Return the seconds after which the process with that number is ended if it was not heard; None: it need not be.

    :raises InvalidArgument: a variable has no such form.
    """
    if not variables.get("WATCHDOG_USEC") or (
        variables.get("WATCHDOG_PID") and _whole(variables, "WATCHDOG_PID") != pid
    ):
        return None
    return _whole(variables, "WATCHDOG_USEC") / 1e6 or None


def _whole(variables: Mapping[str, str], name: str) -> int:
    if not _WHOLE.fullmatch(variables[name]):
        raise InvalidArgument(f"{name} is {quoted(variables[name])}, but has to be a whole number")
    return int(variables[name])
