"""How many files the process may open, and so how many connections it can have: each is one."""

from __future__ import annotations

import logging
import sys
from typing import Final

from attrs import evolve

from tocsin.protocol.errors import PlatformUnavailable
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.web.door import TOLD_AT_ONCE

RESERVE: Final = TOLD_AT_ONCE + 64
"""Descriptors that are kept for all else: the store, the command, the certificate, connections that are turned away."""

logger = logging.getLogger(__name__)


def fit_to_descriptors(settings: ServiceSettings) -> ServiceSettings:
    """Let the process open as many files as it may, and have no more connections than that leaves room for.

    :raises PlatformUnavailable: it may open too few to serve at all.
    """
    limit = _raise_limit(settings.max_connections + RESERVE)
    if limit is None or limit >= settings.max_connections + RESERVE:
        return settings
    room = limit - RESERVE
    if room < 1:
        raise PlatformUnavailable(
            f"this process may open {limit} files only, and needs {RESERVE + 1} at least: raise 'ulimit -n', or"
            " LimitNOFILE= of the unit"
        )
    logger.warning(
        "at most %d connections at a time, not %d: this process may open %d files only; raise 'ulimit -n', or"
        " LimitNOFILE= of the unit",
        room,
        settings.max_connections,
        limit,
    )
    return evolve(settings, max_connections=room)


def _raise_limit(wanted: int) -> int | None:
    """Raise the limit to what the process may set itself; return it, or None where there is none to speak of."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415  # not everywhere

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    for limit in (hard, wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (ValueError, OSError):  # more than the system gives to any process
            continue
        return None if limit == resource.RLIM_INFINITY else limit
    return soft
