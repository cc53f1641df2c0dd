"""A relay of TCP connections that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from attrs import Factory, define


@define(eq=False)
class Relay:
    """Leads connections to a socket, or to a host and port, for as long as it is not cut; ``port`` is its own, on loopback."""

    to: str | tuple[str, int]
    port: int = 0
    _whole: asyncio.Event = Factory(asyncio.Event)
    _refuses: bool = False
    _open: set[asyncio.StreamWriter] = Factory(set)
    _tasks: set[asyncio.Task[None]] = Factory(set)

    def cut(self, *, abrupt: bool) -> None:
        """Let nothing through; ``abrupt``: end all connections, and those that are yet to come."""
        self._whole.clear()
        self._refuses = abrupt
        if abrupt:
            for writer in self._open:
                writer.transport.abort()

    def heal(self) -> None:
        """Let all through, also what has waited."""
        self._refuses = False
        self._whole.set()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Lead one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError):
                await self._lead(reader, writer)
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            return
        await self._whole.wait()
        if isinstance(self.to, str):
            there, back = await asyncio.open_unix_connection(self.to)
        else:
            there, back = await asyncio.open_connection(*self.to)
        both = {writer, back}
        self._open |= both
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carry(reader, back))
                ways.create_task(self._carry(there, writer))
        except* OSError:
            pass
        finally:
            self._open -= both
            back.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            await self._whole.wait()
            failure = source.exception()
            if failure is not None:  # what its sender has taken back comes to nothing
                raise failure
            sink.write(data)
            await sink.drain()
        await self._whole.wait()
        raise ConnectionResetError  # one side has ended, and so has the connection

    async def end(self) -> None:
        """End all connections."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def relay(to: str | tuple[str, int]) -> AsyncIterator[Relay]:
    """Listen on a port of loopback."""
    found = Relay(to)
    found.heal()
    listener = await asyncio.start_server(found.connected, "127.0.0.1", 0)
    found.port = listener.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        listener.close()
        await found.end()
