"""Which messages were taken up: those with a lower number than another may come behind it, where several nodes number them."""

from __future__ import annotations

from attrs import Factory, define


@define(eq=False)
class TakenMessages:
    """Knows them by their numbers.

    :ivar _late: seconds for which a message with a lower number may still come; 0: they come in order.
    """

    _late: float
    after: int = 0
    """The number behind which those are looked for that may be new."""
    _lately: dict[int, float] = Factory(dict)  # when they were taken up, in that order

    def is_new(self, number: int) -> bool:
        """Tell whether a message behind :attr:`after` was not taken up."""
        return number not in self._lately

    def take(self, number: int, now: float) -> None:
        """Note that a message was taken up.

        :param now: seconds on a clock that never goes back.
        """
        self._lately[number] = now
        while self._lately and self._lately[first := next(iter(self._lately))] <= now - self._late:
            self.after = max(self.after, first)
            del self._lately[first]
