"""The acts of an agent's world: processes of apps begin, end, stall, crash, are launched, and tell lies."""

from __future__ import annotations

from contextlib import suppress

from tests.simulation.app_process import AWAY, PACKAGED, AppProcess
from tests.simulation.liar import tell
from tests.simulation.push_acts import PushActs
from tocsin.protocol.errors import PushError
from tocsin.protocol.platform.activation import Activators


class AgentActs(PushActs):
    """Acts of what reaches the platform by its agent's door."""

    def begin_process(self, app: int, role: str, mode: str) -> None:
        """A process begins, and requests its app's channel: it takes what comes there, triggers, works, or both."""
        process = self.sim.processes.begin(AWAY[app], mode)
        self.sim.outside.start_soon(self._introduce, process, role)

    def end_process(self, which: int) -> None:
        """One leaves in order."""
        for process in self._processes()[which:][:1]:
            process.leave.set()

    def crash_process(self, which: int) -> None:
        """One dies in the middle of what it does."""
        for process in self._processes()[which:][:1]:
            self.record.faults["process crashed"] += 1
            process.die()

    def stall_process(self, which: int) -> None:
        """One takes nothing of what it is sent, until it goes on, or dies."""
        for process in self._processes()[which:][:1]:
            self.record.faults["process stalled"] += 1
            self.record.excused_from_seeing.add(process.app)
            process.stall()

    def go_on(self) -> None:
        """All that stall go on."""
        for process in self._processes():
            if process.stalls:
                process.go_on()

    def launched_do(self, app: int, mode: str) -> None:
        """Processes of an app that are launched from now on do so."""
        self.sim.processes.working[AWAY[app]] = mode

    def lie(self, kind: str, number: int) -> None:
        """A session says what is not so, and then reads nothing."""
        self.record.faults[f"lie: {kind}"] += 1
        self.sim.outside.start_soon(tell, self.sim, kind, number)

    def complete(self) -> None:
        """Deferrals are completed, also those of processes."""
        super().complete()
        for process in self._processes():
            process.handlers.complete()

    async def power_off(self, seconds: float, clock: float) -> None:
        """The machine is off, and every process with it."""
        self.sim.processes.all_die()
        await super().power_off(seconds, clock)

    def mend_processes(self) -> None:
        """All processes end, and one of each app does all of its work."""
        self.sim.processes.all_die()
        for app, name in enumerate(AWAY):
            self.sim.processes.working[name] = "completes"
            self.begin_process(app, "both", "completes")

    async def _introduce(self, process: AppProcess, role: str) -> None:
        with suppress(PushError):
            if not await process.is_up():
                return
            packaged = process.app == PACKAGED
            if role in {"trigger", "both"}:
                await process.register(
                    Activators.PUSH_TRIGGER if packaged else Activators.PROTOCOL_ACTIVATOR,
                    works=not packaged and role == "both",
                )
            if packaged and role in {"works", "both"}:
                await process.register(Activators.COM_ACTIVATOR, works=True)
            elif role == "works":
                await process.register(Activators.PROTOCOL_ACTIVATOR, works=True)
            await process.request()
            if role in {"foreground", "both"}:
                process.attach_all()

    def _processes(self) -> list[AppProcess]:
        return [process for process in self.sim.processes.living if not process.is_dead]
