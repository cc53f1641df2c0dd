"""What one batch of the supervisor gives to the shell: payloads of each app together, in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from tocsin.mailbox import Mailbox
from tocsin.protocol.delivery.plain_rows import PlainRow, attempt_of, sequence_of
from tocsin.protocol.errors import Busy, PlatformUnavailable
from tocsin.protocol.messages import Deliveries, ShellOutcomeRow
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.values import DropReason, Outcome

SHOWN_AT_ONCE = 512
"""How many payloads of an app go to the shell together."""


class ShowEffects:
    """The payloads that wait for the end of the batch."""

    def __init__(self, shell: Mailbox) -> None:
        self._shell = shell
        self._batches: defaultdict[str, list[PlainRow]] = defaultdict(list)
        self._frames: list[tuple[bytes, Sequence[PlainRow]]] = []

    def show(self, app: str, row: PlainRow) -> None:
        """Let a payload of an app go to the shell."""
        self._batches[app].append(row)

    def pass_on(self, frame: bytes) -> None:
        """Let a frame follow the payloads so far."""
        self._close_batches()
        self._frames.append((frame, ()))

    def clear(self) -> None:
        """Forget what waits: it is handed on again."""
        self._batches.clear()
        self._frames.clear()

    @property
    def has_any(self) -> bool:
        """Whether something waits."""
        return bool(self._batches or self._frames)

    def perform(self) -> list[ShellOutcomeRow]:
        """Send all of it, and return what becomes of what the shell could not take: this never waits."""
        self._close_batches()
        missed: list[ShellOutcomeRow] = []
        for frame, rows in self._frames:
            try:
                self._shell.send_frame_nowait(frame)
            except Busy:
                full = Outcome.DROPPED, DropReason.SHELL_FULL, "the shell has no room for more"
                missed += [ShellOutcomeRow(sequence_of(row), attempt_of(row), *full) for row in rows]
            except PlatformUnavailable:  # the platform stops: it is found in the inbox
                back = Outcome.GIVEN_BACK, None, ""
                missed += [ShellOutcomeRow(sequence_of(row), attempt_of(row), *back) for row in rows]
        self._frames.clear()
        return missed

    def _close_batches(self) -> None:
        """Make frames of the payloads of each app."""
        for app, rows in self._batches.items():
            for start in range(0, len(rows), SHOWN_AT_ONCE):
                several = tuple(rows[start : start + SHOWN_AT_ONCE])
                self._frames.append((encode(Deliveries(app, several)), several))  # type: ignore[arg-type]  # plain rows
        self._batches.clear()
