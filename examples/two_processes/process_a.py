"""Process A of the specification: it registers the trigger and has the channel, and does no background work itself.

tocsin agent                                             in one terminal
cd examples/two_processes && python process_a.py         in another: it registers, prints how to push, and ends
the line that it has printed: the agent starts process B, by the command of the manifest
"""

import tocsin

CLSID = "6a8b1f4e-2f0c-4d0e-9d55-0a4d4f2b7c11"


async def main() -> None:
    """Register the trigger for the class that process B serves."""
    async with tocsin.connect("contoso.sync", manifest="tocsin.toml") as manager:
        await manager.register_activator(tocsin.PushNotificationActivationInfo(tocsin.Activators.PUSH_TRIGGER, CLSID))
        channel = await manager.open_channel()
        print(manager.send_line(channel, "sync"))


tocsin.run(main)
