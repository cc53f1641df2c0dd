"""The app of a notification hub: it registers its channel under a tag, and waits for what a server sends to the tag.

tocsin serve --dev-tls --state ./push                    in one terminal; it says how its certificate is trusted
tocsin app add contoso.mail --state ./push               in another: gives the app's remote id
tocsin hub add contoso-hub --state ./push                and the hub's connection strings
python examples/hub/app.py [STATE]                       the app, with the variables below
python examples/hub/send.py news 'hello'                 the server, in a third terminal

SERVICE=https://127.0.0.1:PORT REMOTE_ID=... HUB_LISTEN='Endpoint=sb://...' SSL_CERT_FILE=./push/dev-tls/ca.pem
"""

import os
import sys
import tempfile

import tocsin


async def main(state: str) -> None:
    """Register, and receive one push."""
    hub = tocsin.NotificationHub("contoso-hub", os.environ["HUB_LISTEN"], app="contoso.mail", state=state)
    async with tocsin.embedded("contoso.mail", state, service=os.environ["SERVICE"]) as manager:
        channel = await manager.open_channel(os.environ["REMOTE_ID"])
        registration = await hub.register_native(channel.uri, ["news"])  # at each start: it is made once
        print("registered as", registration.registration_id, "for", *registration.tags, flush=True)
        async for args in channel.payloads():
            print("got", args.text, flush=True)
            args.handled = True  # as asking for the next one would say
            break


if __name__ == "__main__":
    tocsin.run(main, sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
