"""The units by which systemd starts a user's agent: for the first app that connects, and when the user logs on.

Source: systemd.syntax(7), systemd.service(5), systemd.socket(5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.service_manager import AGENT_NAME
from tocsin.protocol.text import quoted

SOCKET_UNIT: Final = "tocsin-agent.socket"
SERVICE_UNIT: Final = "tocsin-agent.service"

USERS_SOCKET: Final = "%t/tocsin/agent.sock"
"""The socket in the user's runtime folder, as a unit writes it."""

_MARK: Final = "# Written by 'tocsin agent install'; 'tocsin agent uninstall' removes it.\n"
_ESCAPES: Final = {
    ord("\\"): r"\\",
    ord('"'): r"\"",
    ord("%"): "%%",
    ord("\n"): r"\n",
    ord("\t"): r"\t",
    ord("\r"): r"\r",
}


def is_ours(text: str) -> bool:
    """Tell whether a unit was written by :func:`socket_unit` or :func:`service_unit`."""
    return text.startswith(_MARK)


def socket_unit(listen: str) -> str:
    """Return the unit that listens for apps, on a path in which ``%`` has been written as ``%%``.

    :raises InvalidArgument: a unit cannot name the path.
    """
    _check(listen)
    if not listen.isprintable() or listen != listen.strip():
        raise InvalidArgument(
            f"a unit cannot name the socket {quoted(listen)}: only printable characters, no space at its end"
        )
    return f"""{_MARK}[Unit]
Description=Socket of the Tocsin agent

[Socket]
ListenStream={listen}
FileDescriptorName={AGENT_NAME}
SocketMode=0600
DirectoryMode=0700
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
"""


def listens_on(text: str, path: str, runtime: str) -> bool:
    """Tell whether a socket unit listens on a path.

    :param runtime: the user's runtime folder, which a unit writes as ``%t``.
    """
    lines = [line.removeprefix("ListenStream=") for line in text.splitlines() if line.startswith("ListenStream=")]
    return any(line.replace("%t", runtime).replace("%%", "%") == path for line in lines)


def service_unit(words: Sequence[str]) -> str:
    """Return the unit that runs the agent by a command, whose first word is a path.

    :raises InvalidArgument: a unit cannot name the command.
    """
    for word in words:
        _check(word)
    if not words[0].isprintable() or set(words[0]) & set("\"'\\"):
        raise InvalidArgument(f"a unit cannot name the program {quoted(words[0])}: no quotes, backslashes or line ends")
    # With the colon, systemd leaves every $ as it is.
    command = " ".join(f'"{word.translate(_ESCAPES)}"' for word in words)
    return f"""{_MARK}[Unit]
Description=Tocsin agent, which wakes apps by push notifications
Requires={SOCKET_UNIT}
After={SOCKET_UNIT}

[Service]
Type=notify
NotifyAccess=main
ExecStart=:{command}
# Apps that it has started outlive it. Whatever confines it would confine them too: so there is no sandbox, no umask and no limit.
KillMode=process
OOMPolicy=continue
Restart=on-failure
RestartSec=1
TimeoutStopSec=15
WatchdogSec=5min

[Install]
WantedBy=default.target
"""


def _check(word: str) -> None:
    try:
        word.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"a unit is UTF-8, and so cannot name {quoted(word)}") from None
