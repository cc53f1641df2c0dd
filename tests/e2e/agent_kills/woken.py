"""What the agent launches in the run of kills, ``python -m tests.e2e.agent_kills.woken APP FOLDER HOW``, and where all handlers write.

It imports little, as each launch waits for that.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
from attrs import define, frozen

import tocsin
from tests.e2e.crash.payloads import HandedOut
from tocsin import Activators, PushNotificationActivationInfo
from tocsin import PushNotificationReceivedEventArgs as Args
from tocsin.protocol.errors import PushError

WORK = 0.1
"""Seconds that a launched process takes over its payload, at least; for some it is up to four times as long."""

STAYS = 0.5
"""Seconds that a launched process with a handler stays."""


TRIGGER = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR)


@frozen
class Folder:
    """Where the files of a run are."""

    path: Path

    @property
    def socket(self) -> Path:
        """Where apps connect."""
        return self.path / "agent.sock"

    @property
    def state(self) -> Path:
        """The agent's state folder."""
        return self.path / "state"

    @property
    def said(self) -> Path:
        """What all but the push service have written to standard error."""
        return self.path / "agent.log"

    @property
    def began(self) -> Path:
        """The payloads that handlers were given."""
        return self.path / "began"

    @property
    def done(self) -> Path:
        """The payloads that handlers were through with."""
        return self.path / "done"


@define
class Journal:
    """Where the handlers of a process write down what they are at, a record at once, which no kill can tear."""

    began: int
    done: int

    @classmethod
    def of(cls, folder: Folder) -> Journal:
        """Open the files of a run."""
        began, done = (
            os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600) for path in (folder.began, folder.done)
        )
        return cls(began, done)

    async def handle(self, args: Args, seconds: float) -> None:
        """Work on a payload."""
        record = HandedOut(int(args.payload), args.id, args.attempt).encode()
        os.write(self.began, record)
        await anyio.sleep(seconds)
        os.write(self.done, record)


async def work(app: str, folder: Folder, how: str) -> int:
    """Work on the payload that has launched this process; where the agent is gone, it comes again to another.

    :param how: "once", or "stays" for a process that registers a handler, and may get more payloads.
    """
    journal = Journal.of(folder)

    async def handle(args: Args) -> None:
        await journal.handle(args, WORK * (1 + int(args.payload) % 4))

    try:
        async with tocsin.connect(app) as manager:
            if how == "stays":
                await manager.register_activator(TRIGGER, handle)
                await anyio.sleep(STAYS)
            else:
                activated = await tocsin.get_activated_event_args()
                assert isinstance(activated.data, Args)
                await handle(activated.data)
    except PushError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(anyio.run(work, sys.argv[1], Folder(Path(sys.argv[2])), sys.argv[3]))
