"""The calls of a desktop, and what it says meanwhile."""

from __future__ import annotations

import anyio

from tests.actors.shelling import PlayedDesktop
from tocsin.actors.desktop_calls import DesktopCalls
from tocsin.protocol.toasts.popup import Handle
from tocsin.shell.desktop import Closed, ClosedBy, DesktopEvent
from tocsin.tasks import Signal


async def test_what_a_desktop_says_is_heard_once() -> None:
    """Also where something is taken between two of its words, as the shell does."""
    stirred = Signal()
    desktop = PlayedDesktop()
    calls = DesktopCalls(desktop, stirred.set)
    said: list[DesktopEvent] = [Closed(Handle("d1", number), ClosedBy.USER) for number in range(3)]
    heard = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(calls.run)
        for event in said:
            desktop.say(event)
            with anyio.fail_after(5):
                await stirred.wait()
            heard.append(calls.take_events())
        tasks.cancel_scope.cancel()
    assert heard == [[event] for event in said]
