"""The background work of one app: who does it, under which conditions, what runs and what waits for its turn."""

from __future__ import annotations

from collections import deque

from attrs import Factory, define

from tocsin.protocol.delivery.payload_life import Phase, Tracked
from tocsin.protocol.delivery.recipients import Recipient, goes_to
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.platform.conditions import AppSettings, HostState, interruption, obstacle
from tocsin.protocol.values import DropReason

QUEUE_DEPTH = 1024
"""How many payloads may wait for the background work of one app."""


@define
class BackgroundQueue:
    """One app's background work; ``session`` is empty while none does it, ``command`` where no process can be started for it."""

    triggered: bool = False
    session: str = ""
    command: bytes = b""
    conditions: tuple[int, ...] = ()
    cancel_on_condition_loss: bool = False
    settings: AppSettings = Factory(AppSettings)
    running: Tracked | None = None
    queue: deque[Tracked] = Factory(deque)

    @property
    def activatable(self) -> bool:
        """Whether there is such work: something triggers it, and the user allows it."""
        return self.triggered and self.settings.background

    def may_queue(self, kind: str) -> bool:
        """Whether a payload of this type may wait for this work."""
        return self.activatable and goes_to(kind, Recipient.BACKGROUND)

    @property
    def ready(self) -> bool:
        """Whether a session does it, or a process can be started that does."""
        return self.activatable and bool(self.session or self.command)

    def add(self, tracked: Tracked) -> Tracked | None:
        """Let a payload wait behind those that arrived before it; return the last where more wait than may, else None.

        One that comes back after its session has died so stands before those that arrived later.
        """
        place = len(self.queue)
        while place and self.queue[place - 1].sequence > tracked.sequence:
            place -= 1
        self.queue.insert(place, tracked)
        return self.queue[-1] if len(self.queue) > QUEUE_DEPTH else None

    def retire(self) -> None:
        """Let no work begin until the app has registered it anew."""
        self.triggered, self.session, self.command = False, "", b""

    def clear(self) -> None:
        """Forget what runs and what waits."""
        self.running = None
        self.queue.clear()

    def may_begin(self, host: HostState) -> bool:
        """Whether the first that waits may begin: the work is or can be done, nothing runs or stands before it, and there is data left.

        The gates count here once more: what waits has passed them, and they may have closed since.
        """
        if not self.ready or self.running is not None or not self.queue or obstacle(host, self.settings) is not None:
            return False
        return self.settings.within_budget and host.meets_all(self.conditions)

    def decide(self, settings: AppSettings, host: HostState) -> CancellationReason | None:
        """Take what was decided for the app; tell why that cancels the work that runs, or None where it goes on."""
        before, self.settings = obstacle(host, self.settings), settings
        return obstacle(host, settings) if before is None else None

    def interruption(self, before: HostState, after: HostState) -> CancellationReason | None:
        """Tell why a change of the machine's state cancels the work that runs, or None where it goes on."""
        return interruption(before, after, self.settings, self.conditions if self.cancel_on_condition_loss else ())

    def drop_reason(self, tracked: Tracked) -> DropReason:
        """Tell why a payload of the app has ended without being handled."""
        if tracked.phase is Phase.EXPIRED:
            return DropReason.EXPIRED
        if tracked.reason is not None:
            return tracked.reason
        denied = self.triggered and not self.settings.background
        return DropReason.BACKGROUND_DENIED if denied else DropReason.NOT_HANDLED
