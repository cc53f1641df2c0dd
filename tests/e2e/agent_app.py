"""An app of the agent: ``python -m tests.e2e.agent_app NAME LOG [...]`` registers itself, and works when a push has launched it.

What it does it notes in a log, one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
from attrs import asdict, frozen

import tocsin
from tocsin import Activators, PushNotificationActivationInfo, PushNotificationManager
from tocsin import PushNotificationReceivedEventArgs as Args
from tocsin.api.activated import ExtendedActivationKind, get_activated_event_args
from tocsin.api.identity import read_manifest

ROLES = {
    "protocol": Activators.PROTOCOL_ACTIVATOR,
    "trigger": Activators.PUSH_TRIGGER,
    "class": Activators.COM_ACTIVATOR,
    "both": Activators.PUSH_TRIGGER | Activators.COM_ACTIVATOR,
}


@frozen
class App:
    """How it behaves."""

    name: str
    log: Path
    role: str
    """What it registers; it does the work where that is more than a trigger."""
    manifest: Path | None
    work: float
    """Seconds that a payload takes."""
    stays: float
    """Seconds that it lives on when it is through with what has started it; 0 registers no handler."""
    deadly: str
    """The payload, in hexadecimal digits, that kills it."""

    async def run(self) -> None:
        """Register, or do the work that it was launched for; then wait for more."""
        self.note("started", words=_own_words())
        async with tocsin.connect(self.name, manifest=self.manifest) as manager:
            activated = await get_activated_event_args()
            if activated.kind is ExtendedActivationKind.PUSH:
                assert isinstance(activated.data, Args)
                async with activated.data.get_deferral():
                    if self.stays:
                        await self._register(manager)
                    await self._work(activated.data)
            else:
                await self._introduce(manager)
            await anyio.sleep(self.stays)
        self.note("left")

    async def _introduce(self, manager: PushNotificationManager) -> None:
        """Register, and note where pushes are to go."""
        await self._register(manager)
        assert manager.registration is not None
        channel = (await manager.create_channel(manager.registration.remote_id)).channel
        assert channel is not None
        self.note("ready", uri=channel.uri, **asdict(manager.registration))

    async def _register(self, manager: PushNotificationManager) -> None:
        classes = read_manifest(self.manifest).classes if self.manifest else {}
        info = PushNotificationActivationInfo(ROLES[self.role], next(iter(classes), UUID(int=0)))
        works = self.role != "trigger" and self.stays
        await manager.register_activator(info, self._work if works else None)

    async def _work(self, args: Args) -> None:
        self.note("began", payload=args.payload.hex(), attempt=args.attempt)
        if self.deadly == args.payload.hex():
            os.kill(os.getpid(), signal.SIGKILL)
        await anyio.sleep(self.work)
        self.note("done", payload=args.payload.hex())

    def note(self, event: str, **what: Any) -> None:
        """Write a line."""
        line = json.dumps({"event": event, "pid": os.getpid(), "at": time.time()} | what) + "\n"
        log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(log, line.encode())  # one call: several processes write
        os.close(log)


def _own_words() -> list[str]:
    return [word.hex() for word in Path("/proc/self/cmdline").read_bytes().split(b"\0")[:-1]]


def read(arguments: Sequence[str]) -> App:
    """Read the command line; what the agent adds to it is not this program's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("log", type=Path)
    parser.add_argument("--role", choices=ROLES, default="protocol")
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--work", type=float, default=0.0)
    parser.add_argument("--stays", type=float, default=0.0)
    parser.add_argument("--deadly", default="-")
    return App(**vars(parser.parse_known_args(arguments)[0]))


if __name__ == "__main__":
    anyio.run(read(sys.argv[1:]).run)
