"""Process B of the specification: it serves the class, and does the background work for which process A has the trigger.

The agent starts it; started by hand before a push comes, it does the work without being started.
"""

import asyncio

import tocsin

CLSID = "6a8b1f4e-2f0c-4d0e-9d55-0a4d4f2b7c11"


async def main() -> None:
    """Serve the class until one payload was worked on."""
    done = asyncio.Event()

    def work(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        print("process B works on", args.payload, flush=True)
        done.set()

    async with tocsin.connect("contoso.sync", manifest="tocsin.toml") as manager:
        await manager.register_activator(
            tocsin.PushNotificationActivationInfo(tocsin.Activators.COM_ACTIVATOR, CLSID), work
        )
        await done.wait()


tocsin.run(main)
