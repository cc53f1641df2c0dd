"""What one batch of the supervisor gives to the shell: payloads of each app together, in order."""

from __future__ import annotations

from collections import defaultdict

from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.plain_rows import PlainRow
from tocsin.protocol.errors import Busy, PlatformUnavailable
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.values import Outcome

SHOWN_AT_ONCE = 512
"""How many payloads of an app go to the shell together."""


class ShowEffects:
    """The payloads that wait for the end of the batch."""

    def __init__(self, shell: Mailbox) -> None:
        self._shell = shell
        self._batches: defaultdict[str, list[PlainRow]] = defaultdict(list)

    def show(self, app: str, row: PlainRow) -> None:
        """Let a payload of an app go to the shell."""
        self._batches[app].append(row)

    def clear(self) -> None:
        """Forget what waits: it is handed on again."""
        self._batches.clear()

    def perform(self) -> list[tuple[PlainRow, Outcome]]:
        """Send all of it, and return what the shell could not take, with what becomes of that: this never waits."""
        missed: list[tuple[PlainRow, Outcome]] = []
        for app, rows in self._batches.items():
            for start in range(0, len(rows), SHOWN_AT_ONCE):
                several = tuple(rows[start : start + SHOWN_AT_ONCE])
                try:
                    self._shell.send_frame_nowait(encode(m.Deliveries(app, several)))  # type: ignore[arg-type]  # plain rows
                except Busy:
                    missed += [(row, Outcome.DROPPED) for row in several]
                except PlatformUnavailable:  # the platform stops: it is found in the inbox
                    missed += [(row, Outcome.GIVEN_BACK) for row in several]
        self._batches.clear()
        return missed
