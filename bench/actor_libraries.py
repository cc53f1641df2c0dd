"""Other actor libraries: the same payload handed on through three actors in one process, each in its usual way of use.

None of them stores, acknowledges, orders by channel or cancels; that is what their rows leave out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from bench.framework import Contestant, Missing, Sample, optional
from bench.load import BODY

Payload = tuple[str, bytes]

_NOT_PROMISED = "no disk, no acknowledgement, no budget or cancellation, no redelivery;"
_NOTES = {
    "pykka": f"{_NOT_PROMISED} a thread for each actor, unbounded queues; sync handlers only",
    "thespian": f"{_NOT_PROMISED} simpleSystemBase: everything runs inside the sender's call; sync handlers only",
    "xoscar": f"{_NOT_PROMISED} the sender awaits each call to the end of the chain, one at a time",
}


def contestants(payloads: int, skipped: list[str]) -> list[Contestant]:
    """Return the libraries that are installed; for others, add a sentence to what was skipped."""
    found = []
    runs: dict[str, Callable[[Any, int], Sample]] = {"pykka": _pykka, "thespian": _thespian, "xoscar": _xoscar}
    for name, run in runs.items():
        try:
            module = optional("thespian.actors" if name == "thespian" else name)
        except Missing as missing:
            skipped.append(f"{name}: {missing}")
        else:
            found.append(Contestant(f"{name}, three actors", partial(run, module, payloads), "peer", _NOTES[name]))
    return found


def _payloads(count: int) -> list[Payload]:
    return [(f"{number:016X}", bytes(BODY)) for number in range(count)]


def _pykka(pykka: Any, count: int) -> Sample:
    class Hop(pykka.ThreadingActor):  # type: ignore[misc]  # the library is optional, hence Any
        def __init__(self, onward: Any) -> None:
            super().__init__()
            self.onward = onward
            self.handled = 0

        def on_receive(self, message: Payload | None) -> int:
            """Pass a payload on, or handle it; None asks how many were handled."""
            if message is not None and self.onward is not None:
                self.onward.tell(message)
            elif message is not None:
                self.handled += 1
            elif self.onward is not None:
                answer: int = self.onward.ask(None)
                return answer
            return self.handled

    payloads = _payloads(count)
    last = Hop.start(None)
    middle = Hop.start(last)
    first = Hop.start(middle)
    try:
        start = perf_counter()
        for payload in payloads:
            first.tell(payload)
        handled = first.ask(None)
        seconds = perf_counter() - start
    finally:
        for actor in (first, middle, last):
            actor.stop()
    return _rate(count, handled, seconds)


def _thespian(thespian: Any, count: int) -> Sample:
    class Hop(thespian.Actor):  # type: ignore[misc]  # the library is optional, hence Any
        def __init__(self) -> None:
            super().__init__()
            self.onward: Any = None
            self.handled = 0

        def receiveMessage(self, message: Any, sender: Any) -> None:  # noqa: N802  # the library's name
            """Pass a payload on, or handle it; a list holds those who come after, text asks how many were handled."""
            if isinstance(message, tuple) and self.onward is not None:
                self.send(self.onward, message)
            elif isinstance(message, tuple):
                self.handled += 1
            elif isinstance(message, list):
                self.onward, *others = message
                self.send(self.onward, others) if others else None
            elif isinstance(message, str):
                self.send(sender, self.handled)

    payloads = _payloads(count)
    system = thespian.ActorSystem("simpleSystemBase")
    try:
        first, middle, last = (system.createActor(Hop) for _ in range(3))
        system.tell(first, [middle, last])
        start = perf_counter()
        for payload in payloads:
            system.tell(first, payload)
        handled = system.ask(last, "handled?", 10)
        seconds = perf_counter() - start
    finally:
        system.shutdown()
    return _rate(count, handled, seconds)


def _xoscar(xoscar: Any, count: int) -> Sample:
    class Hop(xoscar.Actor):  # type: ignore[misc]  # the library is optional, hence Any
        def __init__(self, onward: Any) -> None:
            super().__init__()
            self.onward = onward
            self.handled = 0

        async def take(self, payload: Payload) -> None:
            """Pass a payload on, or handle it."""
            if self.onward is not None:
                await self.onward.take(payload)
            else:
                self.handled += 1

        def count(self) -> int:
            """Return how many were handled."""
            return self.handled

    async def main() -> Sample:
        payloads = _payloads(count // 10)  # a tenth: it takes ten times as long
        pool = await xoscar.create_actor_pool("127.0.0.1", n_process=0)
        async with pool:
            last = await xoscar.create_actor(Hop, None, address=pool.external_address)
            middle = await xoscar.create_actor(Hop, last, address=pool.external_address)
            first = await xoscar.create_actor(Hop, middle, address=pool.external_address)
            start = perf_counter()
            for payload in payloads:
                await first.take(payload)
            seconds = perf_counter() - start
            return _rate(len(payloads), await last.count(), seconds)

    return asyncio.run(main())


def _rate(sent: int, handled: int, seconds: float) -> Sample:
    assert handled == sent, f"{handled} of {sent} payloads arrived"
    return {"payloads/s": sent / seconds}
