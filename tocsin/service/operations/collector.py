"""Python's garbage collector, in a process that holds very much and leaves hardly anything to it."""

from __future__ import annotations

import gc
from typing import Final

_THRESHOLDS: Final = (50_000, 20, 10)
"""Containers made and not freed before the youngest are looked at, and how often that is before older ones are.

With Python's own 700, what is under way is taken for what stays, and so all that stays is looked at again and again: with
10,000 connected devices half a second long each time, which was half of the time that the service had.
"""


def collect_rarely() -> None:
    """Look for garbage rarely: for a process that only serves."""
    gc.set_threshold(*_THRESHOLDS)
