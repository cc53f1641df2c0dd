"""A log for what strangers or a fault can cause again and again: it says a thing once, and then how often."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from typing import Final

from tocsin.protocol.kernel.recurrence import Recurrences, Repeats
from tocsin.tasks import Signal

INTERVAL: Final = 60.0
"""Seconds after which is said how often something came again."""

_MOST: Final = 1_024  # different things of one level

_Line = tuple[logging.Logger, str]

logger = logging.getLogger(__name__)


class RepeatLog:
    """Says the first of what is the same at once, and once a minute how many more there were.

    It remembers a bounded number of things of each level, so a flood of lesser ones hides no fault.

    :param now: seconds on a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._rules: defaultdict[int, Recurrences[_Line]] = defaultdict(partial(Recurrences, INTERVAL, _MOST))
        self.to_sweep = Signal()
        """Set when there is something to sweep an interval from then."""

    def log(self, to: logging.Logger, level: int, thing: Hashable, text: str, *args: object) -> None:
        """Log a line, unless the same thing was said by that logger a short while ago; then it is counted."""
        sentence = text % args
        if self._rules[level].note((to.name, thing), (to, sentence), self._now()):
            to.log(level, "%s", sentence)
        self.to_sweep.set()

    def sweep(self) -> None:
        """Say what came again and whose time has come."""
        for level, rule in self._rules.items():
            self._tell(rule.due(self._now()), level)
            if rule.remembers_any:
                self.to_sweep.set()

    def close(self) -> None:
        """Say what came again."""
        for level, rule in self._rules.items():
            self._tell(rule.rest(self._now()), level)

    @staticmethod
    def _tell(repeats: Iterable[Repeats[_Line]], level: int) -> None:
        for words, count, seconds in repeats:
            to, sentence = words or (logger, "various events like those before")
            to.log(level, "%d more times in %.0f s: %s", count, seconds, sentence)
