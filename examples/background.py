"""A background app: no foreground handler, work that goes on after its handler has returned, and conditions.

python examples/background.py [STATE]
"""

import asyncio
import sys
import tempfile

from foreground import push

import tocsin


async def main(state: str) -> None:
    """Do one piece of background work, once there is a network for it."""
    done = asyncio.Event()

    async def download(args: tocsin.PushNotificationReceivedEventArgs, deferral: tocsin.Deferral) -> None:
        with deferral:  # completed in all cases: a deferral that leaks ends in 'tocsin dead-letters', by name
            await asyncio.sleep(0.1)
            print("downloaded", args.text)
            done.set()

    async with tocsin.embedded(app="contoso.mail", state=state) as manager, asyncio.TaskGroup() as tasks:

        def on_push(args: tocsin.PushNotificationReceivedEventArgs) -> None:
            args.canceled(lambda reason: print("cancelled:", reason.name))
            tasks.create_task(download(args, args.get_deferral()))

        await manager.register_activator(
            tocsin.PushNotificationActivationInfo(
                tocsin.Activators.PROTOCOL_ACTIVATOR, None, [tocsin.SystemConditionType.INTERNET_AVAILABLE]
            ),
            on_push,
        )
        channel = await manager.open_channel()
        await manager.conditions.set_host(internet_available=False)
        print("the service says", await push(manager, channel.uri, b"report.pdf"))
        print("no network: the payload waits")
        await manager.conditions.set_host(internet_available=True)
        await done.wait()


if __name__ == "__main__":
    tocsin.run(main, sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
