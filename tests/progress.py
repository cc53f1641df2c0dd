"""How far a long run is, for who watches it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(things: Iterable[T], name: str, total: int | None = None) -> Iterable[T]:
    """Go through things, with a bar on standard error where that is a terminal; at the end it goes away.

    :param total: how many there are, where the things do not know.
    """
    bar: Iterable[T] = tqdm(things, name, total, leave=False, disable=None, file=sys.stderr)
    return bar
