"""An app that a push starts while it is not running.

tocsin agent                 in one terminal
python examples/woken.py     in another: it registers, prints how to push to it, and ends
the line that it has printed: the agent starts the app again, which prints the payload in the first terminal
"""

import asyncio

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
        channel = await manager.open_channel()
        print(manager.send_line(channel, "report 7"))


tocsin.run(main)
