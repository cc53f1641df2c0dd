"""``tocsin calling ring``: a call from this terminal, by an agent like any other."""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import anyio

from tocsin.calling import (
    Call,
    CallClient,
    CallEndReason,
    CallState,
    CallStateChangedEventArgs,
    CallTokenCredential,
    ConnectionState,
    StartCallOptions,
)
from tocsin.cli.terminal import show
from tocsin.protocol.calling.call_token import CallTokenKind
from tocsin.protocol.calling.end_reason import DECLINED
from tocsin.protocol.errors import NotFound, PlatformUnavailable
from tocsin.protocol.text import harmless
from tocsin.tasks import task_group
from tocsin.transport.control_socket import Answer, ask

APP: Final = "tocsin.ring"
"""The app that the agent is of."""

INTERRUPTED: Final = 130
"""The exit code of a call that was given up before it was answered."""

_AUTHORITIES: Final = "SSL_CERT_FILE"


def ring(arguments: argparse.Namespace) -> int:
    """Call, and print what becomes of it."""
    asked = {"verb": "calling-caller", "name": arguments.caller, "callee": arguments.name}
    answer = anyio.run(ask, arguments.state, asked)
    if answer is None:
        raise NotFound(
            f"no calling service runs on {arguments.state}: start 'tocsin calling serve', or name its folder with --state"
        )
    if answer["ca"]:  # its service is the only one that this process speaks to
        os.environ[_AUTHORITIES] = answer["ca"]
    with TemporaryDirectory(prefix="tocsin-ring-") as folder:
        return anyio.run(_ring, answer, Path(folder), arguments.video, arguments.json)


async def _ring(answer: Answer, folder: Path, video: bool, as_json: bool) -> int:  # noqa: FBT001  # anyio passes no names
    caller, callee = answer["caller"], answer["callee"]
    output = _Output(as_json=as_json)
    async with CallClient(answer["url"], app=APP, state=folder) as client:
        is_teams = caller["kind"] == CallTokenKind.TEAMS
        create = client.create_teams_call_agent if is_teams else client.create_call_agent
        agent = await create(CallTokenCredential(caller["token"]))
        if agent.connection_state is not ConnectionState.CONNECTED:
            trouble = agent.connection_trouble
            raise PlatformUnavailable(f"the calling service at {answer['url']} cannot be reached: {trouble}")
        call = await agent.start_call(callee["raw_id"], StartCallOptions(video=video))
        output.begin(call, caller, callee)
        async with _hanging_up(call) as interrupted:
            connected = await _follow(call, output)
        reason = await call.wait_until_ended()
        output.end(reason)
    if connected or (reason.code, reason.subcode) == (DECLINED.code, DECLINED.subcode):
        return 0
    return INTERRUPTED if interrupted.is_set() else 1


async def _follow(call: Call, output: _Output) -> bool:
    """Print each state until the call has ended; return whether it was connected."""
    put, states = anyio.create_memory_object_stream[CallState](64)

    async def note(args: CallStateChangedEventArgs) -> None:
        await put.send(args.state)

    connected = False
    with put, states, call.state_changed(note):
        state = call.state
        while state is not CallState.DISCONNECTED:
            connected = connected or state is CallState.CONNECTED
            output.state(state)
            state = await states.receive()
    return connected


@asynccontextmanager
async def _hanging_up(call: Call) -> AsyncIterator[anyio.Event]:
    """Hang up on SIGINT or SIGTERM, and set the event; a second one ends the process."""
    interrupted = anyio.Event()
    async with task_group() as tasks:

        async def watch(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                task_status.started()
                async for _ in signals:
                    break
            interrupted.set()
            await call.hang_up()

        await tasks.start(watch)
        yield interrupted
        tasks.cancel_scope.cancel()


class _Output:
    """Prints what happens: lines for a person, or one JSON object a line."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._last: CallState | None = None

    def begin(self, call: Call, caller: dict[str, Any], callee: dict[str, Any]) -> None:
        """Say which call it is."""
        if self._as_json:
            self._show(event="call", call=call.id, caller=caller["raw_id"], callee=callee["raw_id"])
            return
        name = callee["name"] or callee["raw_id"]
        show(harmless(f"calling {name} as {caller['name']}; Ctrl-C hangs up"))

    def state(self, state: CallState) -> None:
        """Say how it stands, once."""
        if state is self._last:
            return
        self._last = state
        if self._as_json:
            self._show(event="state", state=state.name.lower())
        else:
            show(state.name.lower().replace("_", " "))

    def end(self, reason: CallEndReason) -> None:
        """Say why it has ended."""
        if self._as_json:
            self._show(event="ended", code=reason.code, subcode=reason.subcode, reason=reason.meaning)
        else:
            show(f"ended, {reason.code}/{reason.subcode}: {reason.meaning}")

    @staticmethod
    def _show(**fields: Any) -> None:
        show(json.dumps(fields))
