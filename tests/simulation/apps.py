"""What the apps' handlers do with a payload, well-behaved or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from attrs import Factory, define

from tests.simulation.record import Record
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.deferral import Deferral

FOREGROUND = ("handles", "refuses", "raises", "hangs", "takes its time", "stops when told", "defers", "leaks")
"""What a foreground handler may do."""

BACKGROUND = ("completes", "raises", "hangs", "takes its time", "stops when told", "defers", "leaks")
"""What background work may do."""

PROCESS_MODES = (
    "handles",
    "completes",
    "completes",
    "raises",
    "hangs",
    "takes its time",
    "stops when told",
    "defers",
    "leaks",
)
"""What a process of an app may do, in the foreground and in the background."""

LONG = 7.0
"""Seconds of a handler that takes its time."""

Handler = Callable[[PushNotificationReceivedEventArgs], Awaitable[None]]


@define(eq=False)
class Handlers:
    """Makes the handlers of all apps."""

    record: Record
    working: dict[str, str]
    """How the background work of each app behaves at the time."""
    process: str = ""
    """The process that they run in; empty for that of the platform."""
    deferred: list[tuple[str, Deferral]] = Factory(list)
    """What will be completed, by the id of its payload."""

    def foreground(self, mode: str) -> Handler:
        """Make a foreground handler."""

        async def handle(args: PushNotificationReceivedEventArgs) -> None:
            self.record.call(args, self.process)
            if mode == "refuses":
                return
            args.handled = await self._behave(mode, args)

        return handle

    def background(self, app: str) -> Handler:
        """Make the handler of an app's background work."""

        async def handle(args: PushNotificationReceivedEventArgs) -> None:
            self.record.call(args, self.process)
            await self._behave(self.working[app], args)

        return handle

    def complete(self) -> None:
        """Complete what was deferred."""
        for id_, deferral in self.deferred:
            self.record.done.add(id_)
            deferral.complete()
        self.deferred.clear()

    async def _behave(self, mode: str, args: PushNotificationReceivedEventArgs) -> bool:
        """Behave so, and return whether the payload is handled when the handler has returned, or its deferral ends."""
        match mode:
            case "raises":
                raise RuntimeError("a handler fails")
            case "hangs" | "ignores stop":
                await anyio.sleep_forever()
            case "takes its time" | "defers for long":
                await anyio.sleep(LONG)
            case "stops when told":
                told = anyio.Event()
                args.canceled(lambda _: told.set())
                await told.wait()
            case "defers":
                self.deferred.append((args.id, args.get_deferral()))
                return True
            case "leaks":
                args.get_deferral()
                return True
        self.record.done.add(args.id)
        return True
