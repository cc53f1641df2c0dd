#!/usr/bin/env bash
# A TLS connection of asyncio that has ended stays in memory until Python looks for garbage, with the protocol of the program.
#
# Seen with CPython 3.11's asyncio, with certificates of trustme 1.2.1. A buffered protocol whose plain connection has ended is gone as
# soon as nothing else holds it. Over TLS the transport keeps methods of the protocol, which keeps its transport: a cycle, so both stay
# until the collector comes round, which in a process with many lasting objects may be hours. A program that gives the transport
# another protocol once it has heard of the end (set_protocol) has its own freed at once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install -q trustme==1.2.1

cat >ended.py <<'PY'
"""Count the protocols that are there once their connections have ended, while nothing looks for garbage."""

import asyncio
import gc
import ssl
import sys
import weakref

import trustme

CONNECTIONS = 5
secure, parted = "tls" in sys.argv, "parted" in sys.argv


class Kept(asyncio.BufferedProtocol):
    """Keeps its transport, and a buffer to read into."""

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.buffer = bytearray(1024)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.transport.write(b"well")

    def connection_lost(self, exc) -> None:
        if parted:
            self.transport.set_protocol(asyncio.BufferedProtocol())
        ended.release()


async def main() -> None:
    global ended
    ended = asyncio.Semaphore(0)
    authority = trustme.CA()
    server_side, client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server_side)
    authority.configure_trust(client_side)
    made = weakref.WeakSet()

    def make() -> Kept:
        protocol = Kept()
        made.add(protocol)
        return protocol

    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=server_side if secure else None)
    port = server.sockets[0].getsockname()[1]
    gc.collect()
    gc.disable()
    for _ in range(CONNECTIONS):
        tls = {"ssl": client_side, "server_hostname": "localhost"} if secure else {}
        reader, writer = await asyncio.open_connection("127.0.0.1", port, **tls)
        writer.write(b"how are you")
        await reader.readexactly(4)
        writer.close()
        await writer.wait_closed()
        await ended.acquire()
    for _ in range(5):
        await asyncio.sleep(0)
    print(len(made))
    server.close()


asyncio.run(main())
PY

check() {  # that $1 protocols are there still, said as $2, with the arguments in the rest
    found=$(venv/bin/python ended.py "${@:3}")
    [ "$found" = "$1" ] || { echo "CHANGED: $2: $found protocols are there still"; exit 1; }
}
check 0 "plain"
check 5 "TLS" tls
check 0 "TLS, with another protocol at the end" tls parted
