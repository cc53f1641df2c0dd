"""What stands between the service and a peer, for one request or connection: it answers, or it hears."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import define, frozen

from tocsin.protocol.values import MAX_PAYLOAD
from tocsin.service.web.exchanges import Request, RequestExchange, Sender
from tocsin.service.web.headers import write
from tocsin.service.web.websocket import Receiver


@define
class Fault:
    """An answer in place of the service's, so many times; None for as long as it is not taken away."""

    status: int
    headers: dict[str, str]
    times: int | None
    body: bytes = b""


class Noting:
    """A connection, for a request whose answer is noted."""

    def __init__(self, sender: Sender, note: Callable[[int, Mapping[str, str]], None]) -> None:
        self._sender = sender
        self._note = note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sender, name)

    def answer(self, request: Request, data: bytes) -> None:
        """Note the status and the headers, and send the answer."""
        lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        named = (line.partition(": ") for line in lines)
        self._note(int(data[9:12]), {name.lower(): value for name, _, value in named})
        self._sender.answer(request, data)


@frozen
class Overheard:
    """Hands a request on to what answers it, and keeps its body."""

    _exchange: RequestExchange
    _body: bytearray

    def take(self, part: bytes) -> None:
        """Keep a part of the body, no more than may be taken, and pass it on."""
        self._body.extend(part[: MAX_PAYLOAD - len(self._body)])
        self._exchange.take(part)

    def complete(self) -> None:
        """Pass on that the body is there."""
        self._exchange.complete()

    def await_body(self) -> None:
        """Pass on that the body is awaited."""
        self._exchange.await_body()

    def flowing(self) -> None:
        """Pass on that the peer reads."""
        self._exchange.flowing()

    def dismiss(self) -> None:
        """Pass on that the peer has gone."""
        self._exchange.dismiss()


class Faulty:
    """A request that is answered in the service's place."""

    def __init__(self, request: Request, fault: Fault) -> None:
        headers = [(name.encode(), value.encode()) for name, value in fault.headers.items() if value]
        length = (b"content-length", b"%d" % len(fault.body))
        request.answer(fault.status, write([*headers, length]), fault.body)

    def take(self, part: bytes) -> None:
        """Do nothing, as all that follows: it is answered."""

    def complete(self) -> None:
        """Do nothing."""

    def await_body(self) -> None:
        """Do nothing."""

    def flowing(self) -> None:
        """Do nothing."""

    def dismiss(self) -> None:
        """Do nothing."""


@frozen
class Watched:
    """Takes what comes from a device for another, and tells of the end."""

    _receiver: Receiver
    _on_end: Callable[[], None]

    def take(self, message: bytes | str) -> None:
        """Pass on a message."""
        self._receiver.take(message)

    def flowing(self) -> None:
        """Pass on that the device reads."""
        self._receiver.flowing()

    def ended(self, code: int) -> None:
        """Pass on the end."""
        self._receiver.ended(code)
        self._on_end()
