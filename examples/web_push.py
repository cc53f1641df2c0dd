"""An app that any sender of Web Push reaches, and such a sender, in one program.

python examples/web_push.py
"""

import tempfile

import tocsin


async def main() -> None:
    """Subscribe, push, and print what comes: the service in between cannot read it."""
    key = tocsin.VapidKey.generate()  # a server keeps its own: see 'tocsin webpush keys'
    with tempfile.TemporaryDirectory() as state:
        async with (
            tocsin.embedded("contoso.mail", state) as manager,
            tocsin.WebPushClient(key, "mailto:ops@contoso.example") as client,
        ):
            subscription = await manager.create_web_push_subscription(key.public_key)
            result = await client.send(subscription.as_json(), "you have mail", ttl=60, urgency="high")
            print("answered with", result.http_status)
            async for args in subscription.payloads():
                print("got", args.text)
                break


if __name__ == "__main__":
    tocsin.run(main)
