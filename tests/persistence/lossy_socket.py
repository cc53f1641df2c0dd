"""A socket that leads to a PostgreSQL server, and loses what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum, auto
from pathlib import Path

from attrs import Factory, define

NAME = ".s.PGSQL.5432"


class Loss(Enum):
    """What is lost, once a statement has come."""

    NOTHING = auto()
    STATEMENT = auto()
    """The connection breaks before the server has it."""
    ANSWER = auto()
    """The connection breaks when the server has done it."""
    ALL = auto()
    """Nothing comes through, and no connection breaks: a cable was pulled."""


@define(eq=False)
class LossySocket:
    """What is lost of what comes next, and the connections that are open."""

    server: Path
    loss: Loss = Loss.NOTHING
    delay: float = 0.0
    """Seconds by which each answer comes later."""
    _tasks: set[asyncio.Task[None]] = Factory(set)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Lead one connection to the server."""
        try:
            there, back = await asyncio.open_unix_connection(str(self.server / NAME))
        except OSError:  # there is no server just now
            writer.close()
            return
        try:
            ways = [
                asyncio.create_task(self._carry(reader, back, is_statement=True)),
                asyncio.create_task(self._carry(there, writer, is_statement=False)),
            ]
            self._tasks.update(ways)
            _, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in left:
                way.cancel()
        finally:
            back.close()
            writer.close()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_statement: bool) -> None:
        with suppress(ConnectionError):
            while data := await source.read(1 << 16):
                if self.loss is Loss.ALL:
                    continue
                if self.loss is (Loss.STATEMENT if is_statement else Loss.ANSWER):
                    self.loss = Loss.NOTHING
                    return
                if self.delay and not is_statement:
                    await asyncio.sleep(self.delay)
                sink.write(data)
                await sink.drain()


@asynccontextmanager
async def lossy_socket(server: Path, folder: Path) -> AsyncIterator[LossySocket]:
    """Listen in a folder for connections to a server's socket in another one."""
    lossy = LossySocket(server)
    listener = await asyncio.start_unix_server(lossy.connected, folder / NAME)
    async with listener:
        yield lossy
        for task in lossy._tasks:
            task.cancel()
        listener.close()
