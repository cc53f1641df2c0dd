"""An app of the desktop that gets encrypted pushes by UnifiedPush, from the agent or from any other distributor.

tocsin agent --unifiedpush         in one terminal
python examples/unifiedpush.py     in another: it registers, and prints how to push to it
the line that it has printed       in a third: the message appears in the second; Ctrl-C ends it

It needs a session bus, and pip install '.[service,desktop,webpush]', from a checkout
"""

import asyncio
import json
import os
import signal
from uuid import uuid4

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from tocsin.protocol.webpush.envelope import Envelope
from tocsin.protocol.webpush.subscription import PushSubscription
from tocsin.webpush.message_encryption import SubscriptionKeys, Undecryptable, decrypt

APP = "org.example.Connector"
"""The name that it owns on the bus; with a file of that name in dbus-1/services the bus would start it for a push."""

DISTRIBUTOR = os.environ.get("UNIFIEDPUSH_DISTRIBUTOR", "org.unifiedpush.Distributor.tocsin")


class Connector:
    """One registration: its token, and the keys that its messages are encrypted for.

    An app keeps both, and registers with them at every start, so that its endpoint stays. This one makes new ones each time.
    """

    def __init__(self, bus: MessageBus) -> None:
        self.bus, self.token, self.keys = bus, str(uuid4()), SubscriptionKeys.generate()
        bus.add_message_handler(self.called)

    async def ask(self, member: str, **values: str) -> dict[str, Variant]:
        """Call the distributor, and return what it answers."""
        call = Message(
            destination=DISTRIBUTOR,
            path="/org/unifiedpush/Distributor",
            interface="org.unifiedpush.Distributor2",
            member=member,
            signature="a{sv}",
            body=[{name: Variant("s", value) for name, value in values.items()}],
        )
        answer = await self.bus.call(call)
        assert answer is not None
        if answer.message_type is MessageType.ERROR:
            raise SystemExit(f"{DISTRIBUTOR} answers {answer.error_name}: {answer.body[0]}")
        return dict(answer.body[0])

    def called(self, message: Message) -> Message | bool:
        """Take what the distributor calls; False leaves a call to the library."""
        if message.message_type is not MessageType.METHOD_CALL or message.interface != "org.unifiedpush.Connector2":
            return False
        values: dict[str, Variant] = message.body[0]
        if values["token"].value != self.token:
            return False
        if message.member == "NewEndpoint":
            subscription = PushSubscription(values["endpoint"].value, self.keys.p256dh, self.keys.auth)
            line = f"echo '{json.dumps(subscription.as_json())}' | tocsin webpush send - 'you have mail'"
            print(line, flush=True)
        elif message.member == "Message":
            self.show(values["message"].value)
            return Message.new_method_return(message, "a{sv}", [{"id": values["id"]}])  # else it comes again
        return Message.new_method_return(message)

    def show(self, body: bytes) -> None:
        """Print a message."""
        try:
            print("got", decrypt(self.keys, Envelope("aes128gcm", "", "", body)).decode(), flush=True)
        except (Undecryptable, UnicodeDecodeError) as wrong:
            print("got what is not for us:", wrong, flush=True)


async def main() -> None:
    """Register, print what comes, and unregister at the end."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    bus = await MessageBus().connect()
    await bus.request_name(APP)
    connector = Connector(bus)
    answer = await connector.ask("Register", service=APP, token=connector.token, description="an example")
    if "reason" in answer:
        print("no endpoint yet:", answer["reason"].value, flush=True)
    await ended.wait()
    await connector.ask("Unregister", token=connector.token)


if __name__ == "__main__":
    asyncio.run(main())
