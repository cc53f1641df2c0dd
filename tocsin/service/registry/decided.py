"""How what is decided from what was read is written: once, and from what is so then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.changed_meanwhile import ChangedMeanwhile

T = TypeVar("T")

TRIES: Final = 16
"""How often one caller decides the same; each time in vain, another caller has had its way."""


async def decided(attempt: Callable[[], Awaitable[T]]) -> T:
    """Read, decide and write; do so anew where another has changed meanwhile what that was decided from.

    :raises StateUnavailable: that was so each time; nothing was written.
    """
    for _ in range(TRIES):
        with suppress(ChangedMeanwhile):
            return await attempt()
    raise StateUnavailable("others change the same just now, one after the other; do it again")
