"""The clock that goes steadily: no one sets it, and it goes on where the machine sleeps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

steady: Final[Callable[[], float]] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic
)
"""Returns the seconds since some moment; differences count only.

On Linux (``CLOCK_BOOTTIME``) and Windows the time in which the machine sleeps is part of it. Elsewhere it may not be: then
what expires lives longer by as much, until the service is heard again.
"""
