"""What the supervisor asks of the launcher: processes to be started and stopped, in order, at the end of the batch."""

from __future__ import annotations

from tocsin.actors.payload_watch import PayloadWatch
from tocsin.mailbox import Mailbox
from tocsin.protocol.delivery.payload_life import Tracked
from tocsin.protocol.messages import CallOffLaunch, EndProcess, Launch, StopLaunch


class LaunchEffects:
    """The orders that wait for the end of the batch.

    :param launcher: where they go; None where this platform starts no processes.
    :param watch: hears of each process that is to be started.
    """

    def __init__(self, launcher: Mailbox | None, watch: PayloadWatch | None = None) -> None:
        self._launcher = launcher
        self._watch = watch
        self._orders: list[Launch | CallOffLaunch | StopLaunch | EndProcess] = []

    def usable(self, command: bytes) -> bytes:
        """Return a command, or an empty one where this platform starts no processes."""
        return b"" if self._launcher is None else command

    def start(self, tracked: Tracked, command: bytes) -> None:
        """Have a process started for a payload."""
        self._orders.append(Launch(tracked.app, tracked.sequence, tracked.attempt, command))
        if self._watch is not None:
            self._watch.launching(tracked.app, tracked.sequence)

    def stop(self, tracked: Tracked) -> None:
        """Have the process ended that was started for a payload, or is to be."""
        self._orders.append(StopLaunch(tracked.app, tracked.sequence, tracked.attempt))

    def call_off(self, tracked: Tracked) -> None:
        """Have no process started for a payload, unless one has been."""
        self._orders.append(CallOffLaunch(tracked.app, tracked.sequence, tracked.attempt))

    def end(self, session: str) -> None:
        """Have the launched process ended whose session this is."""
        self._orders.append(EndProcess(session))

    def perform(self) -> None:
        """Order all of it."""
        if self._launcher is not None:
            for order in self._orders:
                self._launcher.send_urgent(order)
        self._orders.clear()
