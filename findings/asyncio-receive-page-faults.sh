#!/usr/bin/env bash
# A plain protocol of asyncio pays two page faults and three system calls for memory with each chunk that it receives.
#
# Seen with CPython 3.11's asyncio on glibc, through websockets 16.0. asyncio receives with sock.recv(256 KiB), and so makes a bytes
# object of that size for each chunk, however small. glibc maps a block of more than 128 KiB by itself: each chunk is an mmap, two page
# faults, an mremap where the object is cut to what came, and a munmap. A small message that goes there and back is received twice:
# four faults, and here more than half of the system time. It goes unseen, since glibc raises its bound once a larger mapped block is
# freed: a program in which that has happened is quicker ever after. With the bound above 256 KiB there is no fault at all. A
# BufferedProtocol has a buffer of its own, and pays nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install -q websockets==16.0

cat >faults.py <<'EOF'
"""Send small messages there and back over a WebSocket, and print the page faults of each."""

import asyncio
import resource

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

MESSAGES = 2_000


async def echo(connection) -> None:
    async for message in connection:
        await connection.send(message)


async def main() -> None:
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", compression=None) as client:

            async def messages(count: int) -> None:
                for _ in range(count):
                    await client.send(b"x" * 100)
                    await client.recv()

            await messages(200)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            await messages(MESSAGES)
            print(round((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / MESSAGES))


asyncio.run(main())
EOF

check() {  # that $1 page faults are counted, said as $2, with the environment in the rest
    words=$2
    found=$(env "${@:3}" venv/bin/python faults.py)
    [ "$found" = "$1" ] || { echo "CHANGED: $words: $found page faults a message"; exit 1; }
}
check 4 "as it is" PYTHONUNBUFFERED=1
check 0 "with glibc's bounds above asyncio's block" MALLOC_MMAP_THRESHOLD_=1048576 MALLOC_TRIM_THRESHOLD_=4194304
echo "as described: four page faults for a small message there and back, none where the block is not mapped"
