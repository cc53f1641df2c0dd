"""The calling service's time: it begins as the machine's wall clock, and goes on steadily while the service runs."""

from __future__ import annotations

import time
from collections.abc import Callable

from tocsin.steady import steady


def steadily() -> Callable[[], float]:
    """Return a clock in seconds since the epoch that goes on whatever the machine's is set to; a call rings as long as it should."""
    ahead = time.time() - steady()
    return lambda: steady() + ahead
