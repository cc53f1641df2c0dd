"""What one batch of the supervisor tells the router: outcomes in batches, and other frames in order with them."""

from __future__ import annotations

from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.values import MAX_OUTCOMES


class ReportEffects:
    """The reports that wait for the end of the batch."""

    def __init__(self) -> None:
        self.settled: list[m.SettlementRow] = []
        """What became of deliveries, since the last frame."""
        self._frames: list[bytes] = []

    def report(self, frame: bytes) -> None:
        """Let a frame follow the outcomes so far."""
        if self.settled:
            self._gather()
        self._frames.append(frame)

    def perform(self, router: Mailbox) -> None:
        """Tell all of it."""
        if self.settled:
            self._gather()
        if self._frames:
            for frame in self._frames:
                router.send_frame_urgent(frame)
            self._frames.clear()

    def _gather(self) -> None:
        """Make frames of the outcomes so far."""
        for start in range(0, len(self.settled), MAX_OUTCOMES):
            rows = tuple(self.settled[start : start + MAX_OUTCOMES])
            self._frames.append(encode(m.Settlements(rows)))
        self.settled.clear()
