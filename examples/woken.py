"""An app that a push starts while it is not running.

tocsin agent                 in one terminal
python examples/woken.py     in another: it registers, prints how to push to it, and ends
the line that it has printed: the agent starts the app again, which prints the payload in the first terminal
"""

import asyncio
import shlex

import tocsin


async def main() -> None:
    """Work on the payload that has started this process, or say how to send one."""
    async with tocsin.connect("contoso.reports") as manager:
        await manager.register_activator(tocsin.PushNotificationActivationInfo(tocsin.Activators.PROTOCOL_ACTIVATOR))
        why = await tocsin.get_activated_event_args()
        if isinstance(why.data, tocsin.PushNotificationReceivedEventArgs):
            deferral = why.data.get_deferral()
            print("woken by", why.data.payload, flush=True)
            await asyncio.sleep(0.1)  # the work; the payload is handled when the deferral is completed
            deferral.complete()
            return
        registration = manager.registration
        assert registration is not None, "the agent uses a service of its own: start it without --service"
        channel = (await manager.create_channel(registration.remote_id)).channel
        assert channel is not None
        secrets = ["--client-id", registration.client_id, "--client-secret", registration.client_secret]
        print(shlex.join(["tocsin", "send", channel.uri, "report 7", *secrets]))


asyncio.run(main())
