"""A shell between the supervisor, sessions and a desktop, which a test plays."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
from attrs import evolve

from tests.actors.clicking import WallClock
from tests.helpers import next_messages
from tocsin.actors.actor_runner import ActorRunner, Kernel
from tocsin.actors.clock import ServiceClock
from tocsin.actors.desktop_calls import DesktopCalls
from tocsin.actors.returning_processes import ReturningProcesses
from tocsin.actors.senses import Senses
from tocsin.actors.sessions import Sessions
from tocsin.actors.shell import Shell
from tocsin.mailbox import Mailbox
from tocsin.persistence.memory_shell_store import MemoryShellStore
from tocsin.persistence.shell_store import ShellState
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.toasts.popup import DEFAULT_KEY, Handle, Popup
from tocsin.protocol.values import DropReason, NotificationType, Outcome
from tocsin.shell.desktop import (
    Closed,
    ClosedBy,
    DaemonChanged,
    DesktopAbsent,
    DesktopError,
    DesktopEvent,
    DesktopStanding,
    Pressed,
)

VIRTUAL = 10_000.0
BUTTONS = '<actions><action content="Yes" arguments="yes"/><action content="No" arguments="no"/></actions>'


def toast_xml(text: str = "ding", *, scenario: str = "", launch: str = "open", actions: str = BUTTONS) -> bytes:
    """Write a toast."""
    about = f' scenario="{scenario}"' if scenario else ""
    binding = f'<binding template="ToastGeneric"><text>{text}</text></binding>'
    return f'<toast launch="{launch}"{about}><visual>{binding}</visual>{actions}</toast>'.encode()


def shown(
    sequence: int, body: bytes | None = None, kind: NotificationType = NotificationType.TOAST, **changes: object
) -> m.Deliveries:
    """Build a payload on its way to the shell."""
    row = m.PayloadRow(
        sequence, f"id{sequence}", kind, toast_xml(f"n{sequence}") if body is None else body, 1, None, "c1"
    )
    return m.Deliveries("mail", (row._replace(**changes),))  # type: ignore[arg-type]  # fields of a row


class PlayedDesktop:
    """A desktop that keeps what it shows, and says what a test has it say."""

    def __init__(self, daemon: str = "d1") -> None:
        self.daemon = daemon
        self.standing = DesktopStanding(name="played", daemon=daemon, actions=True)
        self.popups: dict[int, Popup] = {}
        self.asked: list[tuple[Popup, Handle | None]] = []
        self.closed: list[int] = []
        self.failures: list[DesktopError] = []
        self.delay = 0.0
        self._last = 0
        self._said: list[DesktopEvent] = []
        self._spoken = anyio.Event()

    async def run(self) -> None:
        """Hold nothing."""
        await anyio.sleep(math.inf)

    async def show(self, popup: Popup, replaces: Handle | None = None) -> Handle:
        """Show a popup, or fail as planned."""
        self.asked.append((popup, replaces))
        await anyio.sleep(self.delay)
        if not self.daemon:
            raise DesktopAbsent("there is no desktop")
        if self.failures:
            raise self.failures.pop(0)
        if replaces is not None and replaces.daemon == self.daemon:
            number = replaces.number
        else:
            self._last += 1
            number = self._last
        self.popups[number] = popup
        return Handle(self.daemon, number)

    async def close(self, handle: Handle) -> None:
        """Take a popup down."""
        await anyio.lowlevel.checkpoint()
        if handle.daemon == self.daemon and self.popups.pop(handle.number, None) is not None:
            self.closed.append(handle.number)
            self.say(Closed(handle, ClosedBy.CALLER))

    async def events(self) -> list[DesktopEvent]:
        """Wait for events."""
        while not self._said:
            self._spoken = anyio.Event()
            await self._spoken.wait()
        said, self._said = self._said, []
        return said

    def say(self, *events: DesktopEvent) -> None:
        """Tell what happens."""
        self._said += events
        self._spoken.set()

    def press(self, number: int, key: str = DEFAULT_KEY) -> None:
        """Click on a popup."""
        self.say(Pressed(Handle(self.daemon, number), key))

    def change(self, daemon: str) -> None:
        """Let another daemon be there, or none."""
        self.daemon, self.popups = daemon, {}
        self._last = 0
        self.standing = evolve(self.standing, daemon=daemon)
        self.say(DaemonChanged(daemon))

    def one_at_a_time(self) -> None:
        """Show one popup, and let the others wait."""
        self.standing = evolve(self.standing, one_at_a_time=True)

    @property
    def titles(self) -> list[str]:
        """What is on the screen."""
        return [popup.title for popup in self.popups.values()]


class Shelling:
    """A shell with what is around it; its session is ``s`` of the app ``mail``."""

    def __init__(
        self,
        store: MemoryShellStore | None = None,
        desktop: PlayedDesktop | None = None,
        boot: str = "b1",
        returning: ReturningProcesses | None = None,
    ) -> None:
        self.returning = returning or ReturningProcesses()
        self.returning.on_return = self._tell_returned
        self.store = MemoryShellStore() if store is None else store
        self.desktop = PlayedDesktop() if desktop is None else desktop
        self.mailbox, self.supervisor = Mailbox("shell"), Mailbox("supervisor")
        self.session, self.launcher = Mailbox("s", 20_000), Mailbox("launcher")
        self.sessions = Sessions(None, self.returning)
        self.sessions.add("mail", self.session)
        clock = WallClock()
        kernel = Kernel(clock)
        at_service = ServiceClock(clock)
        at_service.hear(m.ConnectionUp(1024, clock.wall()))
        self.calls = DesktopCalls(self.desktop, lambda: self.mailbox.send_state(m.DesktopStirred()))
        self.runner = ActorRunner(
            self.mailbox,
            lambda alarm: Shell(
                self.store,
                Senses(clock, at_service, alarm),
                self.supervisor,
                self.sessions,
                calls=self.calls,
                launcher=self.launcher,
                boot=boot,
            ),
            kernel,
            lambda _: None,
        )
        self._number = 0
        self._told: list[m.Message] = []

    def _tell_returned(self, purpose: LaunchPurpose, app: str) -> None:
        if purpose is LaunchPurpose.TOAST:
            self.tell(m.AppReturned(app))

    async def clicked(self) -> None:
        """Let a toast be clicked whose app has left a command, and has no session that takes clicks."""
        self.ask(m.TakeActivations(7, b"command"))
        await self.told()
        self.show()
        await self.told()
        self.ask(m.LeaveActivations())
        self.desktop.press(1)
        await self.kept()

    def tell(self, *messages: m.Message) -> None:
        """Tell the shell what is not of an app."""
        for message in messages:
            self.mailbox.send_nowait(message)

    def ask(self, message: m.Message) -> None:
        """Tell the shell what the session says."""
        self.mailbox.send_nowait(m.Stamped("s", "mail", encode(message)))

    def show(self, content: bytes | None = None, **wishes: object) -> int:
        """Have the session show a toast; return the number of its question."""
        self._number += 1
        values = {
            "content": toast_xml() if content is None else content,
            "tag": "",
            "group": "",
            "expires": None,
            "suppress_display": False,
            "expires_on_reboot": False,
            "sequence_number": 0,
            "data": (),
        }
        self.ask(m.ShowToast(self._number, **(values | wishes)))  # type: ignore[arg-type]  # as above
        return self._number

    async def ended(self) -> list[m.ShellOutcomeRow]:
        """Wait for what the shell tells the supervisor next."""
        rows: list[m.ShellOutcomeRow] = []
        for message in await next_messages(self.supervisor, VIRTUAL):
            assert isinstance(message, m.ShellOutcomes)
            rows += map(m.ShellOutcomeRow._make, message.rows)
        return rows

    async def told(self) -> m.Message:
        """Wait for what goes to the session next."""
        while not self._told:
            self._told += await next_messages(self.session, VIRTUAL)
        return self._told.pop(0)

    async def kept(self) -> ShellState:
        """Return what is stored, when all is done that was told."""
        await anyio.sleep(0.1)
        return await self.store.load()


async def outcome(h: Shelling) -> tuple[int, Outcome, DropReason | None]:
    """Wait for the end of one payload."""
    (row,) = await h.ended()
    return row.sequence, row.outcome, row.reason


@asynccontextmanager
async def shelling(
    store: MemoryShellStore | None = None,
    desktop: PlayedDesktop | None = None,
    boot: str = "b1",
    returning: ReturningProcesses | None = None,
) -> AsyncIterator[Shelling]:
    """Run a shell; where it is left it ends at once, as if it were killed."""
    harness = Shelling(store, desktop, boot, returning)
    with harness.mailbox, harness.supervisor, harness.session, harness.launcher:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(harness.calls.run)
            tasks.start_soon(harness.runner.run)
            await harness.runner.started.wait()
            yield harness
            assert harness.runner.restarts == 0
            tasks.cancel_scope.cancel()
