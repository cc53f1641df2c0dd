"""What a call launches in the bench ``calling``: it shows the toast, and stays until the call is over.

``called.py WHERE register`` registers that, and ends; ``WHERE`` is a JSON object that says where all is.
"""

from time import perf_counter

FIRST = perf_counter()

import asyncio  # noqa: E402  # the first line is what is measured
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from tocsin import (  # noqa: E402
    Activators,
    PushNotificationActivationInfo,
    PushNotificationReceivedEventArgs,
    connect,
    get_activated_event_args,
)
from tocsin.calling import CallClient, CallTokenCredential  # noqa: E402
from tocsin.calling.call_toasts import CallToasts  # noqa: E402

_APP = "contoso.mail"  # bench.load has it, too, but what that loads is not to be measured


async def main(where: dict[str, str], *, registers: bool) -> None:
    """Register, or ring."""
    moments = {"first line": FIRST, "imported": perf_counter()}
    async with (
        connect(_APP, where["socket"], command=[sys.executable, __file__, sys.argv[1]]) as manager,
        CallClient(where["url"], app=_APP, state=where["state"]) as client,
    ):
        moments["connected"] = perf_counter()
        if registers:
            agent = await client.create_call_agent(CallTokenCredential(where["token"]))
            channel = (await manager.create_channel(where["remote_id"])).channel
            assert channel is not None
            await manager.register_activator(PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR))
            await agent.register_for_push_notification(channel.uri)
            return
        async with CallToasts(manager.toasts, client):
            agent = await client.create_call_agent(CallTokenCredential(where["token"]))
            moments["signed in"] = perf_counter()
            activated = (await get_activated_event_args()).data
            assert isinstance(activated, PushNotificationReceivedEventArgs)
            await client.handle_push_notification(activated.payload)
            for incoming in agent.incoming_calls:
                await incoming.wait_until_ended()
    part = Path(where["report"]).with_suffix(".part")
    part.write_text(json.dumps(moments | {"pid": os.getpid()}), encoding="utf-8")
    part.rename(where["report"])  # whole at once


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1]), registers=sys.argv[2:] == ["register"]))
