"""What runs while clicks are tried by kills: an agent whose desktop clicks each toast once, and an app that notes its clicks.

``python -m tests.e2e.click_kills agent FOLDER`` runs the agent, ``... app FOLDER HOW`` is what a click starts: it "asks" why it
was started, or "takes" clicks with a handler.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.actors.shelling import PlayedDesktop
from tocsin import ToastNotificationActivatedEventArgs as Args
from tocsin import connect, get_activated_event_args
from tocsin.actors import activations
from tocsin.agent import open_agent
from tocsin.protocol.errors import PushError
from tocsin.protocol.toasts.popup import Handle, Popup

WORK = 0.05
"""Seconds that a handler takes over a click."""

STAYS = 0.3
"""Seconds that a process with a handler stays."""


class ClickingDesktop(PlayedDesktop):
    """A desktop whose user clicks on each toast as soon as it is there."""

    async def show(self, popup: Popup, replaces: Handle | None = None) -> Handle:
        """Show a popup, and click on it."""
        handle = await super().show(popup, replaces)
        self.press(handle.number)
        return handle


async def run_agent(folder: Path) -> None:
    """Run an agent until it is killed; it says when apps may come."""
    setattr(activations, "RETURN", 0.2)  # noqa: B010  # with the usual time a run would take minutes
    desktop = ClickingDesktop(str(os.getpid()))
    async with open_agent.open_agent(folder / "state", folder / "s", "http://127.0.0.1:9", desktop=desktop):
        os.write(1, b"ready\n")
        await asyncio.Event().wait()


def note(folder: Path, **what: object) -> None:
    """Write down a record at once, which no kill can tear."""
    log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, (json.dumps(what | {"pid": os.getpid()}) + "\n").encode())
    os.close(log)


async def run_app(folder: Path, how: str) -> None:
    """Get a click, or several."""

    async def handler(args: Args) -> None:
        note(folder, began=args.argument, attempt=args.attempt)
        await asyncio.sleep(WORK)

    note(folder, up=how)
    async with connect("mail", folder / "s") as manager:
        if how == "asks":
            args = (await get_activated_event_args()).data
            assert isinstance(args, Args)
            note(folder, began=args.argument, attempt=args.attempt)
        else:
            await manager.toasts.on_activated(handler)
            await asyncio.sleep(STAYS)


if __name__ == "__main__":
    try:
        asyncio.run(run_agent(Path(sys.argv[2])) if sys.argv[1] == "agent" else run_app(Path(sys.argv[2]), sys.argv[3]))
    except PushError:
        sys.exit(1)  # the agent was killed: the click comes to the next process
