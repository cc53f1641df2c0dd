"""Devices that acknowledge at once, and subscribers beside them: ``python -m bench.prompt_devices KIND PORT COUNT``.

Each is a bare socket like those of ``bench.idle_devices``. When all are connected, it answers lines as ``bench.receiving`` does.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable

from msgpack import Unpacker

from bench.device_channels import device_key
from bench.idle_devices import IdleDevice, connected_devices
from bench.receiving import Tally, answer
from tocsin.protocol.messages import Acknowledge, Payload
from tocsin.protocol.messages.codec import encode

_LONG = 126  # in the place of a length: it is in the next two bytes
_LONGER = 127  # or in the next eight
_UNPACKER = Unpacker(use_list=False)  # of all devices: each frame is whole, and making one costs more than its use


class PromptDevice(IdleDevice):
    """One device's connection, which counts what comes."""

    def __init__(self, number: int, tally: Tally) -> None:
        super().__init__(device_key(number))
        self._tally = tally
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Take whole frames, and keep what is left of one."""
        data = self._rest + data if self._rest else data
        begin = 0
        while (found := _frame(data, begin)) is not None:
            body, end = found
            self.take_frame(data[begin], data[body:end])
            begin = end
        self._rest = data[begin:]

    def take_frame(self, kind: int, body: bytes) -> None:
        """Take the messages of a frame, and acknowledge all of its payloads at once."""
        if kind != self.BINARY:
            super().take(bytes([kind, len(body)]) + body)
            return
        _UNPACKER.feed(body)
        ids = []
        for tag, *fields in _UNPACKER:
            if tag == Payload.TAG:
                ids.append(fields[0])
                self._tally.add(fields[3])
            else:
                self.take_other(tag)
        if ids:
            self.send(self.BINARY, encode(Acknowledge(tuple(ids))))

    def take_other(self, tag: int) -> None:  # noqa: ARG002  # all that comes is a welcome
        """Take a message that carries no payload."""
        self.greeted()


class Subscriber(PromptDevice):
    """One connection to nchan, which counts what comes; there is nothing to acknowledge."""

    TEXT = 0x81

    def __init__(self, number: int, tally: Tally) -> None:
        super().__init__(number, tally)
        self.PATH = f"/sub?id={number}"

    def begin(self) -> None:
        """Be content: there is no hello, and no welcome."""
        self.greeted()

    def take_frame(self, kind: int, body: bytes) -> None:
        """Take the message of a frame."""
        if kind in {self.TEXT, self.BINARY}:
            self._tally.add(body)


KINDS: dict[str, Callable[[int, Tally], IdleDevice]] = {"tocsin": PromptDevice, "nchan": Subscriber}


def _frame(data: bytes, begin: int) -> tuple[int, int] | None:
    """Return where the body of the frame that begins there begins and ends; None where not all of it has come."""
    body = begin + 2
    if len(data) < body:
        return None
    length = data[begin + 1]
    if length >= _LONG:
        more = 2 if length == _LONG else 8
        length = int.from_bytes(data[body : body + more], "big")
        body += more
    return (body, body + length) if len(data) >= body + length else None


def spare_the_collector() -> None:
    """Keep Python from looking for garbage among very many devices again and again: they are to be no part of a tail."""
    gc.freeze()
    gc.disable()


async def serve(kind: str, port: int, count: int) -> None:
    """Connect so many, and count what comes for them until the input ends."""
    tally = Tally()
    await connected_devices(port, range(count), lambda number: KINDS[kind](number, tally))
    spare_the_collector()
    await answer(tally, {"connected": count})


if __name__ == "__main__":
    kind, *numbers = sys.argv[1:]
    asyncio.run(serve(kind, *map(int, numbers)))
