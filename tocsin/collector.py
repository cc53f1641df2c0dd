"""Python's garbage collector, in a process of ours that holds very much and leaves hardly anything to it."""

from __future__ import annotations

import gc
from typing import Final

_THRESHOLDS: Final = (10_000, 10, 100)
"""Containers made and not freed before the youngest are looked at, and how often that is before older ones are.

With Python's own 700, what is under way is taken for what stays, and so all that stays is looked at again and again: with
10,000 connected devices half a second long each time, which was half of the time that the service had. With very many, a
look takes as long: 50,000 young ones were 20 to 50 ms while 8,000 devices connected, 10,000 are 2 to 5 ms. All that is there
is hardly ever looked at: what ends is freed at once, since it is not left in a cycle (but for less than 1 KiB of a TLS connection,
which is all that asyncio lets us do).
"""


def collect_rarely() -> None:
    """Look for garbage rarely, and not for long: for a process that is ours, never for one that has embedded us."""
    gc.set_threshold(*_THRESHOLDS)
