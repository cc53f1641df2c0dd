"""The names of UnifiedPush on a session bus, and those that its registrations have on the platform.

Source: UnifiedPush, D-Bus specification 0.2 (version 1 of the interfaces) and 0.3 (version 2).
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final

from tocsin.protocol.platform.power import UNIFIED_PUSH
from tocsin.protocol.values import MAX_APP_NAME

DISTRIBUTOR: Final = "org.unifiedpush.Distributor.tocsin"
"""The name on the bus by which connectors find the distributor."""
DISTRIBUTOR_PATH: Final = "/org/unifiedpush/Distributor"
CONNECTOR_PATH: Final = "/org/unifiedpush/Connector"

VERSIONS: Final = (1, 2)
"""The versions of the interfaces that are spoken."""

_HASH: Final = 32  # hexadecimal digits
_MAX_BUS_NAME: Final = 255
_BUS_NAME: Final = re.compile(r"[A-Za-z_-][A-Za-z0-9_-]*(?:\.[A-Za-z_-][A-Za-z0-9_-]*)+", re.ASCII)


def distributor_interface(version: int) -> str:
    """Return the interface that connectors call."""
    return f"org.unifiedpush.Distributor{version}"


def connector_interface(version: int) -> str:
    """Return the interface that the distributor calls."""
    return f"org.unifiedpush.Connector{version}"


def is_service_name(name: str) -> bool:
    """Tell whether an app can own that name on a bus (D-Bus specification, "Valid Names"); the unique name of a connection is none."""
    return len(name) <= _MAX_BUS_NAME and _BUS_NAME.fullmatch(name) is not None


def digest_of(token: str) -> str:
    """Return what a registration is found by, which tells nothing of its token."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]


def app_of(service: str, token: str) -> str:
    """Return the name of the app that a registration is to the platform: ``MAX_APP_NAME`` characters at most, and without the token."""
    room = MAX_APP_NAME - len(UNIFIED_PUSH) - 1 - _HASH
    return f"{UNIFIED_PUSH}{service[:room]}:{digest_of(token)}"
