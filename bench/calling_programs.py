"""The processes of the bench ``calling``: ``python -m bench.calling_programs KIND ...``, spoken to by lines of JSON.

``serve STATE``
    A calling service; its standard input begins with a line that says how it rings by pushes.
``caller STATE``
    Its standard input begins with a line that says whom it calls. It answers ``"ring"`` with the moment at which it began to call,
    and ``"hang up"`` when the call has ended.
``called WHERE``
    An app at an agent, which counts plain pushes and calls that ring. Where it is ``quiet``, it learns of calls by pushes only.

``WHERE`` is a JSON object that says where all is.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from bench.load import APP
from bench.receiving import Tally, answer, say
from tocsin import PushNotificationReceivedEventArgs, connect
from tocsin.calling import (
    Call,
    CallAgentOptions,
    CallClient,
    CallTokenCredential,
    IncomingCallReceivedEventArgs,
)


async def serve(state: str) -> None:
    """Run a calling service with two users."""
    from tocsin.calling_service.calling_server import open_calling_service  # noqa: PLC0415  # the others do not wait for it
    from tocsin.calling_service.calling_settings import CallingSettings  # noqa: PLC0415

    lines = await _lines()
    settings = CallingSettings.private(**json.loads(await lines.readline()))
    async with open_calling_service(Path(state), settings) as service:
        users = {name: await service.users.add(name) for name in ("caller", "called")}
        tokens = {name: service.users.issue_token(name)[0] for name in users}
        say({"url": service.url, "callee": users["called"].raw_id, "tokens": tokens})
        await lines.read()


async def caller(state: str) -> None:
    """Call when told to."""
    lines = await _lines()
    where = json.loads(await lines.readline())
    async with CallClient(where["url"], app=APP, state=state) as client:
        agent = await client.create_call_agent(CallTokenCredential(where["token"]), CallAgentOptions("Ann"))
        say({})
        call: Call | None = None
        while line := await lines.readline():
            if json.loads(line) == "ring":
                began = perf_counter()
                call = await agent.start_call(where["callee"])
                say({"began": began, "answered": perf_counter()})
            else:
                assert call is not None
                await call.hang_up()
                reason = await call.wait_until_ended()
                say({"code": reason.code, "subcode": reason.subcode})


async def called(words: str) -> None:
    """Take plain pushes, and be rung."""
    where = json.loads(words)
    tally = Tally()

    async def on_push(args: PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        if args.payload[:1] == b"{":
            await client.handle_push_notification(args.payload)
        else:
            tally.add(args.payload)

    def on_call(_: IncomingCallReceivedEventArgs) -> None:
        tally.add("")

    options = CallAgentOptions(disable_internal_push_for_incoming_call=where["quiet"])
    async with (
        CallClient(where["url"], app=APP, state=where["state"]) as client,
        connect(APP, where["socket"], command=[sys.executable, "-c", "pass"]) as manager,
    ):
        channel = (await manager.create_channel(where["remote_id"])).channel
        assert channel is not None
        agent = await client.create_call_agent(CallTokenCredential(where["token"]), options)
        with channel.push_received(on_push), agent.incoming_call_received(on_call):
            await agent.register_for_push_notification(channel.uri)
            await answer(tally, {"uri": channel.uri})


async def _lines() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def main(kind: str, argument: str) -> None:
    """Run until the input ends."""
    kinds: dict[str, Any] = {each.__name__: each for each in (serve, caller, called)}
    asyncio.run(kinds[kind](argument))


if __name__ == "__main__":
    main(*sys.argv[1:])
