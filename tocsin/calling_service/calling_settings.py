"""What an operator may choose about the calling service: each choice with its default, its limits and what it means."""

from __future__ import annotations

from typing import Any, Final, Self

import attrs
from attrs import field, frozen

from tocsin.protocol.calling.switchboard import MAX_CONNECTED
from tocsin.protocol.messages.calling import MAX_LISTED_CALLS, MAX_OPEN_CALLS, MAX_RINGING_CALLS
from tocsin.service.operations.configuration import CALLING, OTHERS
from tocsin.service.operations.configuration import READER as PUSH_SERVICE
from tocsin.service.operations.settings import (
    ServiceSettings,
    check_file,
    check_public_url,
    rate,
    seconds,
    setting,
)
from tocsin.service.operations.settings_reader import SettingsReader

_AT_ONCE: Final = 1 + MAX_LISTED_CALLS + MAX_RINGING_CALLS + MAX_OPEN_CALLS
"""Messages that an agent is told on its hello: with fewer that may wait, it would be cut off each time that it comes."""

_PUSH: Final = attrs.fields_dict(ServiceSettings)


def _as_push(name: str) -> Any:
    """Declare a setting that means what it means for the push service, with the same default and the same limits."""
    other = _PUSH[name]
    return field(default=other.default, validator=other.validator, repr=other.repr, metadata=dict(other.metadata))


@frozen
class CallingSettings:
    """The settings of a calling service, each within its limits.

    It rings devices through a notification hub (``hub``), or by a push service itself (``client_id``), or not at all.

    :raises InvalidArgument: a value is outside its limits.
    """

    host: str = _as_push("host")
    port: int = setting(8_090, "the TCP port; 0 takes a free one", (0, 65_535))
    public_url: str = setting(
        "", "the URL by which agents reach the service; empty: host and port", check=check_public_url
    )
    tls_cert: str = _as_push("tls_cert")
    tls_key: str = _as_push("tls_key")
    dev_tls: bool = _as_push("dev_tls")
    insecure: bool = _as_push("insecure")
    trusted_proxies: tuple[str, ...] = _as_push("trusted_proxies")

    hub: str = setting("", "the notification hub through which devices are rung that have no agent connected")
    hub_connection: str = setting("", "the hub's connection string, with the right to send", secret=True, option=False)
    hub_connection_file: str = setting("", "the file with the hub's connection string", check=check_file)
    client_id: str = setting(
        "", "the client id (package SID) by which devices are rung through the push service itself"
    )
    client_secret: str = setting("", "the secret of the client id", secret=True, option=False)
    client_secret_file: str = setting("", "the file with the secret of the client id", check=check_file)
    token_url: str = setting("", "where the push service gives access tokens to the client id", check=check_public_url)

    ring_time: float = seconds(120.0, "that a call rings before it ends as not answered")
    max_connections: int = _as_push("max_connections")
    max_connections_per_address: int = _as_push("max_connections_per_address")
    max_connections_per_user: int = setting(32, "agents of one user that are connected at a time", (1, MAX_CONNECTED))
    max_head_bytes: int = _as_push("max_head_bytes")
    max_headers: int = _as_push("max_headers")

    head_timeout: float = _as_push("head_timeout")
    idle_timeout: float = _as_push("idle_timeout")
    write_timeout: float = _as_push("write_timeout")
    hello_timeout: float = seconds(10.0, "in which a new connection has to say whose it is")
    ping_interval: float = seconds(20.0, "between pings of an agent, and in which it has to answer one")
    agent_backlog: int = setting(
        256, "messages that may wait for one agent to read them; above it the agent is cut off", (_AT_ONCE, 65_536)
    )

    message_rate: float = rate(50.0, "messages of one agent")
    message_burst: int = setting(500, "messages of one agent at once", (1, 1_000_000))

    @classmethod
    def private(cls, **choices: Any) -> Self:
        """Return the settings of a service that only its own program and machine use: a free port, no limit of rates."""
        return cls(**({"port": 0, "message_rate": 0.0} | choices))

    def of_doors(self) -> ServiceSettings:
        """Return what the web server is told: all that means for it what it means for the push service."""
        shared = {each.name for each in attrs.fields(type(self))} & _PUSH.keys()
        return ServiceSettings(**{name: getattr(self, name) for name in shared})


READER: Final = SettingsReader(
    CallingSettings,
    CALLING,
    (
        *("TOCSIN_CALLING_CONFIG", *OTHERS),
        *(PUSH_SERVICE.variable(name) for name, _, _ in PUSH_SERVICE.described()),
    ),
)
"""Reads the settings of the calling service."""
