"""A foreground app: a channel, a handler, and a push to itself.

python examples/foreground.py [STATE]
"""

import asyncio
import sys
import tempfile

import tocsin


async def push(manager: tocsin.PushNotificationManager, uri: str, body: bytes) -> str:
    """Push as a server would, and return what the service says became of it."""
    registration = manager.registration
    assert registration is not None
    async with tocsin.WnsClient(registration.client_id, registration.client_secret) as client:
        result = await client.send(uri, body)
    return result.status or result.explanation


async def main(state: str) -> None:
    """Receive one push in the foreground."""
    arrived = asyncio.Event()

    async def on_push(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        print("got", args.text)
        args.handled = True  # or the app's background work would get it too
        arrived.set()

    async with tocsin.embedded(app="contoso.mail", state=state) as manager:
        channel = await manager.open_channel()
        with channel.push_received(on_push):
            print("the service says", await push(manager, channel.uri, b"you have mail"))
            await arrived.wait()


if __name__ == "__main__":
    tocsin.run(main, sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
