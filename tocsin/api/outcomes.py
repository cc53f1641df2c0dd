"""What an app has done with its payloads and handlers, gathered until the end of the moment: the platform is told of it in batches."""

from __future__ import annotations

import logging
from collections.abc import Callable

from tocsin.api.callbacks import is_cancelled
from tocsin.protocol import messages as m
from tocsin.protocol.text import harmless
from tocsin.protocol.values import MAX_OUTCOMES, Outcome
from tocsin.tasks import Signal

logger = logging.getLogger(__name__)


class OutcomeReports:
    """The outcomes, and the channels with handlers, that the platform has not been told of.

    So it is told no more in a moment than there were payloads and channels, whatever the app does.

    :param answer: tells the platform.
    """

    def __init__(self, answer: Callable[[m.Message], None]) -> None:
        self._answer = answer
        self._sequences: list[int] = []
        self._attempts: list[int] = []
        self._rows: list[m.OutcomeRow] = []
        self._changed: dict[str, bool] = {}
        self._doubts: list[tuple[str, m.OutcomeRow]] = []
        self._over = False
        self._noted = Signal()
        self.is_untold = False
        """Whether payloads were handled, and nothing will tell the platform of it yet."""

    def handled(self, sequence: int, attempt: int) -> None:
        """Note that a payload was handled; it is told with :meth:`tell_soon`, or with any other outcome."""
        if not self._sequences:
            self.is_untold = True
        self._sequences.append(sequence)
        self._attempts.append(attempt)

    def tell_soon(self) -> None:
        """Tell the platform of what was handled, at the end of the moment."""
        self.is_untold = False
        self._noted.set()

    def note(self, outcome: m.OutcomeRow) -> None:
        """Note another outcome."""
        self._noted.set()
        self._rows.append(outcome)

    def in_doubt(self, what: str, outcome: m.OutcomeRow) -> None:
        """Note what has ended by a cancellation, and its outcome, unless all of the session is being cancelled: then it comes again.

        It is :meth:`report_each_moment` that finds out, as no code of the app's runs in its task.
        """
        self._doubts.append((what, outcome))
        if self._over:
            self._judge(cancelled=True)
        self._noted.set()

    def attached(self, channel: str, *, attached: bool) -> None:
        """Note whether a channel has handlers; however often that changes in a moment, the platform hears how it is at its end."""
        if self._sequences or self._rows:
            self.report()  # what has become of payloads before the change
        self._changed[channel] = attached
        self._noted.set()

    def report(self) -> None:
        """Tell the platform which channels have handlers, then all outcomes so far."""
        for channel, attached in self._changed.items():
            self._answer((m.Subscribe if attached else m.Unsubscribe)(channel))
        self._changed.clear()
        sequences, attempts, rows = tuple(self._sequences), tuple(self._attempts), tuple(self._rows)
        self._sequences.clear()
        self._attempts.clear()
        self._rows.clear()
        self.is_untold = False
        for start in range(0, len(sequences), MAX_OUTCOMES):
            end = start + MAX_OUTCOMES
            self._answer(m.Handled(sequences[start:end], attempts[start:end]))
        for start in range(0, len(rows), MAX_OUTCOMES):
            self._answer(m.Outcomes(rows[start : start + MAX_OUTCOMES]))

    async def report_each_moment(self) -> None:
        """Tell the platform, once for all outcomes of one moment, until cancelled."""
        try:
            while True:
                await self._noted.wait()
                if self._doubts:
                    self._judge(cancelled=is_cancelled())
                self.report()
        finally:
            self._over = True
            self._judge(cancelled=True)

    def _judge(self, *, cancelled: bool) -> None:
        """Decide what was in doubt."""
        doubts, self._doubts = self._doubts, []
        for what, doubtful in doubts:
            if cancelled:
                self.note(m.OutcomeRow(doubtful.sequence, Outcome.GIVEN_BACK, "", doubtful.attempt))
                continue
            logger.error("%s failed: %s", what, harmless(doubtful.detail))
            if doubtful.outcome == Outcome.HANDLED:
                self.handled(doubtful.sequence, doubtful.attempt)
            else:
                self.note(doubtful)
