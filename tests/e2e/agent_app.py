"""An unpackaged app for the agent's tests: ``python agent_app.py JOURNAL [MODE]``; it writes a line for each step.

It gets its channel, tells how to push to it, and leaves; launched by a push it works on the payload as the mode says.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import tocsin
from tocsin import Activators, ExtendedActivationKind, PushNotificationActivationInfo

JOURNAL = Path(sys.argv[1])
MODE = sys.argv[2]


def note(step: str, **more: object) -> None:
    """Write a line."""
    with JOURNAL.open("a", encoding="utf-8") as journal:
        journal.write(json.dumps({"step": step, "pid": os.getpid(), **more}) + "\n")


def work(args: tocsin.PushNotificationReceivedEventArgs) -> None:
    """Do background work in the handler."""
    note("handled", payload=args.payload.hex(), attempt=args.attempt)


async def main() -> None:
    """Register, then see why this process was started."""
    async with tocsin.connect("contoso.app") as manager:
        if MODE == "handler":
            await manager.register_activator(PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR), work)
        else:
            await manager.register_activator(PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR))
        why = await tocsin.get_activated_event_args()
        if why.kind is ExtendedActivationKind.PUSH:
            await launched(why.data)
            return
        registration = manager.registration
        assert registration is not None
        channel = (await manager.create_channel(registration.remote_id)).channel
        assert channel is not None
        note(
            "ready",
            uri=channel.uri,
            client_id=registration.client_id,
            client_secret=registration.client_secret,
            token_url=registration.token_url,
        )


def command_line() -> bytes:
    """Return the words that this process was started with, each with a NUL behind it; empty where the system does not show them."""
    shown = Path(f"/proc/{os.getpid()}/cmdline")
    return shown.read_bytes() if shown.exists() else b""


async def launched(args: object) -> None:
    """Work on the payload that has started this process."""
    assert isinstance(args, tocsin.PushNotificationReceivedEventArgs)
    note("claimed", payload=args.payload.hex(), attempt=args.attempt, words=command_line().hex())
    if MODE == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if MODE == "handler":
        await asyncio.sleep(3)  # it lives on, and its handler does what comes
        return
    deferral = args.get_deferral()
    await asyncio.sleep(0.2 if MODE == "short" else 5)
    note("completed", payload=args.payload.hex())
    deferral.complete()


asyncio.run(main())
