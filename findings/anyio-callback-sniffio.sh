#!/usr/bin/env bash
# Whether anyio can be used in a callback of asyncio's loop depends on whether sniffio happens to be installed.
#
# Seen with anyio 4.16.0 and sniffio 1.3.1 under CPython 3.11 on Linux. A program under asyncio.run calls anyio.current_time() in a
# callback (loop.call_soon, or any method of a protocol). Without sniffio, which anyio does not require, anyio asks for the running
# loop, and answers. Once something else brings sniffio in, such as trio in a test environment, that asks for the running task, of
# which a callback has none: NoEventLoopError, "Not currently running on any asynchronous event loop"; the same for CancelScope().
# Under anyio.run the callback works again, since that notes the library's name in the context, which callbacks inherit.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install -q anyio==4.16.0

cat >asked.py <<'EOF'
"""Ask anyio for the time in a callback of the loop, under the runner that is named."""

import asyncio
import sys

import anyio


async def main() -> None:
    loop = asyncio.get_running_loop()
    told = loop.create_future()

    def callback() -> None:
        try:
            told.set_result(type(anyio.current_time()).__name__)
        except Exception as failure:
            told.set_result(type(failure).__name__)

    loop.call_soon(callback)
    print(await told)


asyncio.run(main()) if sys.argv[1] == "asyncio" else anyio.run(main)
EOF

check() {  # that the runner $1 prints $2, said as $3
    found=$(venv/bin/python asked.py "$1")
    [ "$found" = "$2" ] || { echo "CHANGED: $3: $found"; exit 1; }
}
! venv/bin/python -c 'import sniffio' 2>/dev/null || { echo "CHANGED: anyio brings sniffio"; exit 1; }
check asyncio float "without sniffio, under asyncio.run"
venv/bin/pip install -q sniffio==1.3.1
check asyncio NoEventLoopError "with sniffio, under asyncio.run"
check anyio float "with sniffio, under anyio.run"
echo "as described: a callback is answered without sniffio, and not with it"
