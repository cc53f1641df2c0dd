"""What the verbs that run a service have in common: an option for each setting, and words for those who connect."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tocsin.cli.state_choice import path
from tocsin.protocol.text import harmless
from tocsin.service.operations.logs import LEVELS
from tocsin.service.operations.settings_reader import option

_GROUPS = (
    ("network", "host|port|public_url|trusted_proxies"),
    ("what keeps its state, and other nodes over that", "engine|link|link_address"),
    ("TLS", "tls_cert|tls_key|dev_tls|insecure"),
    ("how devices are rung that have no agent connected", "hub.*|client_.*|token_url"),
    ("behaviour", "web_push|browsers|strict_wns|metrics_token|page|page_token"),
    ("limits of numbers and sizes", "max_.*|device_window|.*_backlog"),
    ("limits of time", ".*_timeout|drain_delay|ping_interval|ring_time"),
    ("limits of rates", ".*_(rate|burst)"),
)
"""What a help shows settings under, and the names of those that belong there: each setting has one such place."""


def add_service_options(
    parser: argparse.ArgumentParser, config: str | None, variable: str, described: Iterable[tuple[str, Any, str]]
) -> None:
    """Add the options of a service, with one for each setting.

    :param config: the file with settings, by default.
    :param variable: the environment variable that names it.
    """
    parser.usage = "%(prog)s [OPTION [VALUE]]..."  # behind a mistake all of them would hide what it was
    words = f"a TOML file with settings (or {variable})"
    parser.add_argument("--config", type=path("a file"), default=config, metavar="FILE", help=words)
    parser.add_argument("--json", action="store_true", help="print where it listens as one JSON object")
    parser.add_argument("--log-json", action="store_true", help="log one JSON object a line, to standard error")
    words = "debug, info (the default), warning or error"
    parser.add_argument("--log-level", choices=LEVELS, default="info", metavar="L", help=words)
    settings = list(described)
    for title, names in _GROUPS:
        mine = [each for each in settings if re.fullmatch(names, each[0])]
        if mine:
            _add_settings(parser.add_argument_group(title), mine)


def _add_settings(group: Any, settings: Iterable[tuple[str, Any, str]]) -> None:
    for name, default, meaning in settings:
        switch: dict[str, Any] = {"nargs": "?", "const": "true"} if isinstance(default, bool) else {}
        words = f"{meaning} (default: {_show(default)})".replace("%", "%%")
        group.add_argument(option(name), dest=f"setting_{name}", metavar="V", help=words, **switch)


def _show(default: object) -> str:
    return "none" if default in {"", ()} else str(default).lower() if isinstance(default, bool) else f"{default}"


def settings_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the settings that were given as options, as the texts that they are."""
    return {
        name.removeprefix("setting_"): value
        for name, value in vars(arguments).items()
        if name.startswith("setting_") and value is not None
    }


def trust(authority: Path) -> str:
    """Say how the clients of each language are told of the authority."""
    file = harmless(shlex.quote(str(authority)))
    return f"""\
Clients have to trust its authority, which is good for this machine's own addresses only:
  curl           curl --cacert {file} URL
  Node           NODE_EXTRA_CA_CERTS={file}
  requests       REQUESTS_CA_BUNDLE={file}
  Tocsin, other Python, Go, Ruby, .NET on Linux    SSL_CERT_FILE={file}
  Java           keytool -importcert -noprompt -alias tocsin -file {file} -keystore trust.p12 -storepass changeit
                 java -Djavax.net.ssl.trustStore=trust.p12 -Djavax.net.ssl.trustStorePassword=changeit"""
