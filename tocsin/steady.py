"""The clock that goes steadily: it is never set, and it goes on where the machine sleeps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

_BOOT = Path("/proc/sys/kernel/random/boot_id")

steady: Final[Callable[[], float]] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic
)
"""Returns the seconds since some moment; differences count only.

On Linux (``CLOCK_BOOTTIME``) and Windows the time in which the machine sleeps is part of it. Elsewhere it may not be: then
what expires lives longer by as much, until the service is heard again.
"""


def boot() -> str:
    """Name the run of the machine in which :func:`steady` goes on from one process to the next; empty where it has none.

    Linux has a random one for each start.
    """
    if sys.platform != "linux":
        return ""
    try:
        name = _BOOT.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return "" if " " in name else name
