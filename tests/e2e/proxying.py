"""A real HTTP proxy in a process of its own: Debian's tinyproxy."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from attrs import frozen

PATIENCE = 10.0
"""Seconds that it may take to listen."""

HOST = "push.test"
"""What the service behind the proxy is called: a name that only the proxy's machine knows."""


def tinyproxy() -> str | None:
    """Return the program, if it is installed."""
    return shutil.which("tinyproxy")


@frozen
class Proxy:
    """A running proxy."""

    port: int
    log: Path

    def requests(self) -> list[str]:
        """Return the requests that it has had, such as ``CONNECT push.test:80``."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return [
            line.split("): ", 1)[1].removesuffix(" HTTP/1.1") for line in lines if "Request (file descriptor" in line
        ]


@asynccontextmanager
async def proxying(folder: Path, credentials: tuple[str, str] | None = None) -> AsyncIterator[Proxy]:
    """Run it on loopback; with credentials, for no client without them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    log, configuration = folder / "tinyproxy.log", folder / "tinyproxy.conf"
    lines = [
        f"Port {port}",
        "Listen 127.0.0.1",
        "Timeout 60",
        f'LogFile "{log}"',
        "LogLevel Connect",
        "Allow 127.0.0.1",
    ]
    if credentials is not None:
        lines.append(f"BasicAuth {credentials[0]} {credentials[1]}")
    configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
    program = tinyproxy()
    assert program is not None
    process = await anyio.open_process(
        [program, "-d", "-c", str(configuration)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=None
    )
    try:
        await _until_it_listens(port)
        yield Proxy(port, log)
    finally:
        with anyio.CancelScope(shield=True):
            process.kill()
            await process.wait()


async def _until_it_listens(port: int) -> None:
    """Connect until it answers, which it cannot tell otherwise."""
    with anyio.fail_after(PATIENCE):
        while True:
            try:
                stream = await anyio.connect_tcp("127.0.0.1", port)
            except OSError:
                await anyio.sleep(0.02)
            else:
                await stream.aclose()
                return
