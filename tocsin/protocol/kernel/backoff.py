"""How long to wait after one failure more: doubled each time, up to a longest wait."""

from __future__ import annotations

_DOUBLINGS = 30  # more of them would leave the range of a float


def backoff(first: float, longest: float, failures: int, fraction: float = 1.0) -> float:
    """Return the seconds to wait after that many failures in a row, from 1.

    :param first: the wait after the first failure.
    :param longest: the wait that is not exceeded.
    :param fraction: random, from 0 to 1, where in the upper half of the wait this one lies; so that those who were sent
        away together do not come back together.
    """
    return min(longest, first * 2.0 ** min(failures - 1, _DOUBLINGS)) * (0.5 + 0.5 * fraction)
