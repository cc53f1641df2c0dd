"""Process A of the specification: it registers the trigger and has the channel, and does no background work itself.

tocsin agent                                             in one terminal
cd examples/two_processes && python process_a.py         in another: it registers, prints how to push, and ends
the line that it has printed: the agent starts process B, by the command of the manifest
"""

import asyncio
import shlex

import tocsin

CLSID = "6a8b1f4e-2f0c-4d0e-9d55-0a4d4f2b7c11"


async def main() -> None:
    """Register the trigger for the class that process B serves."""
    async with tocsin.connect("contoso.sync", manifest="tocsin.toml") as manager:
        await manager.register_activator(tocsin.PushNotificationActivationInfo(tocsin.Activators.PUSH_TRIGGER, CLSID))
        registration = manager.registration
        assert registration is not None, "the agent uses a service of its own: start it without --service"
        channel = (await manager.create_channel(registration.remote_id)).channel
        assert channel is not None
        secrets = ["--client-id", registration.client_id, "--client-secret", registration.client_secret]
        print(shlex.join(["tocsin", "send", channel.uri, "sync", *secrets]))


asyncio.run(main())
