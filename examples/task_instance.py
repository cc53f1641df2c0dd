"""An app whose background work is one method, as the specification's apps with low integrity have it.

tocsin agent                         in one terminal
python examples/task_instance.py     in another: it registers, prints how to push to it, and ends
the line that it has printed: the agent starts the app again, and its method is called
"""

import asyncio

import tocsin


async def main() -> None:
    """Register the method; a process that a push has started stays until it was called."""
    called = asyncio.Event()

    async def work(args: tocsin.BackgroundActivatedEventArgs) -> None:
        task = args.task_instance
        task.canceled(lambda reason: print("canceled:", reason.name, flush=True))
        print("background work on", task.trigger_details.payload, flush=True)
        called.set()

    async with tocsin.connect("contoso.widgets") as manager:
        await manager.on_background_activated(work)
        if (await tocsin.get_activated_event_args()).kind is tocsin.ExtendedActivationKind.PUSH:
            await called.wait()
            return
        channel = await manager.open_channel()
        print(manager.send_line(channel, "refresh"))


tocsin.run(main)
