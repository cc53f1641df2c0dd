"""An app that a click on a toast starts: ``python -m tests.e2e.desktops.app NAME LOG`` gets its channel and leaves.

Started for a click, it notes that.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import anyio
from attrs import asdict, frozen

import tocsin
from tocsin import ToastNotificationActivatedEventArgs as Clicked
from tocsin.api.activated import ExtendedActivationKind, get_activated_event_args


@frozen
class App:
    """How it behaves."""

    name: str
    log: Path

    async def run(self) -> None:
        """Get a channel, or note the click that it was started for."""
        async with tocsin.connect(self.name) as manager:
            activated = await get_activated_event_args()
            if activated.kind is ExtendedActivationKind.TOAST_NOTIFICATION:
                assert isinstance(activated.data, Clicked)
                args = activated.data
                self.note("launched", argument=args.argument, tag=args.tag, group=args.group, attempt=args.attempt)
            else:
                await manager.toasts.on_activated(_never)
                assert manager.registration is not None
                channel = (await manager.create_channel(manager.registration.remote_id)).channel
                assert channel is not None
                self.note("ready", uri=channel.uri, **asdict(manager.registration))
        self.note("left")

    def note(self, event: str, **what: Any) -> None:
        """Write a line."""
        line = json.dumps({"event": event, "pid": os.getpid()} | what) + "\n"
        log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(log, line.encode())  # one call: several processes write
        os.close(log)


def _never(args: Clicked) -> None:
    raise AssertionError(f"the app has left before any toast can be clicked: {args}")


def main() -> None:
    """Read the command line; what the agent adds to it is not this program's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("log", type=Path)
    anyio.run(App(**vars(parser.parse_known_args(sys.argv[1:])[0])).run)


if __name__ == "__main__":
    main()
