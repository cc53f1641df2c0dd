"""A connection to a bus of D-Bus, the user's or the system's: made when it is needed, and made anew when it was lost.

A bus that goes away shows in many ways, one after the other; here they all are :class:`BusLost`.
"""

from __future__ import annotations

import os
from asyncio import Future
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import anyio
from attrs import frozen

from tocsin.protocol.text import MAX_SENTENCE, describe_error, harmless

PATIENCE: Final = 5.0
"""Seconds that a connection, or the answer to a call, may take."""

BUS: Final = "org.freedesktop.DBus"
BUS_PATH: Final = "/org/freedesktop/DBus"

EXTRA: Final = "D-Bus is spoken by dbus-fast: pip install 'tocsin[desktop]'"

_SESSION_ADDRESS: Final = "DBUS_SESSION_BUS_ADDRESS"
_SYSTEM_ADDRESS: Final = "DBUS_SYSTEM_BUS_ADDRESS"
_SYSTEM_SOCKETS: Final = ("/run/dbus/system_bus_socket", "/var/run/dbus/system_bus_socket")


class BusLost(Exception):
    """There is no such bus, or it has gone, or what was called did not answer in time, or dbus-fast is not installed."""


class BusCallRefused(Exception):
    """A call was answered by an error."""

    def __init__(self, name: str, words: str) -> None:
        super().__init__(harmless(f"{name}: {words}", MAX_SENTENCE))
        self.name, self.words = name, words


def session_address() -> str | None:
    """Return where the session bus of this user is: as the environment says, else where systemd has it; None where there is none."""
    return os.environ.get(_SESSION_ADDRESS) or _address_of(f"/run/user/{os.getuid()}/bus")


def system_address() -> str | None:
    """Return where the system bus is: as the environment says, else where it is by default; None where there is none."""
    return os.environ.get(_SYSTEM_ADDRESS) or _address_of(*_SYSTEM_SOCKETS)


def _address_of(*sockets: str) -> str | None:
    return next((f"unix:path={socket}" for socket in sockets if Path(socket).is_socket()), None)


@frozen
class BusKind:
    """Which bus it is: what it is called, how it is found, and what to say where it is not."""

    name: str
    find: Callable[[], str | None]
    absent: str


SESSION: Final = BusKind(
    "session bus",
    lambda: session_address(),  # noqa: PLW0108  # a test names another
    f"there is no session bus: {_SESSION_ADDRESS} is not set, and this user has no /run/user/UID/bus",
)
SYSTEM: Final = BusKind(
    "system bus",
    lambda: system_address(),  # noqa: PLW0108  # as above
    f"there is no system bus: {_SYSTEM_ADDRESS} is not set, and there is no {_SYSTEM_SOCKETS[0]}",
)


@contextmanager
def in_time(what: str, patience: float | None = None) -> Iterator[None]:
    """Give what is done in the block so many seconds, by default ``PATIENCE``.

    :raises BusLost: it took longer.
    """
    given = PATIENCE if patience is None else patience
    try:
        with anyio.fail_after(given):
            yield
    except TimeoutError:
        raise BusLost(f"{what} did not answer within {given:g} s") from None


class BusConnection:
    """One connection at a time, on asyncio.

    :param hear: called with each signal.
    :param lost: called when the connection has gone.
    :param address: where the bus is; None looks for it each time.
    :param made: called when a connection was made.
    :param answer: called with each call of a method that comes, and with what sends its answer; tells whether it takes the call.
    """

    def __init__(  # noqa: PLR0913  # what is optional stands last
        self,
        kind: BusKind,
        hear: Callable[[Any], None],
        lost: Callable[[], None],
        address: str | None = None,
        made: Callable[[], None] = lambda: None,
        *,
        answer: Callable[[Any, Callable[[Any], object]], bool] = lambda _call, _send: False,
    ) -> None:
        self._kind, self._hear, self._lost, self._address, self._made = kind, hear, lost, address, made
        self._answer = answer
        self._bus: Any = None
        self._connecting = anyio.Lock()
        self._came = anyio.Event()
        self.id = ""
        """Names the bus; another one has another."""
        self.connections = 0
        """How many there have been: rules of matches live as long as one of them."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._bus is not None

    async def run(self) -> None:
        """See each connection end, until cancelled, and close the last one then."""
        try:
            while True:
                await self._came.wait()
                self._came = anyio.Event()
                bus = self._bus
                if bus is None:  # it has gone already
                    continue
                with suppress(EOFError, OSError):
                    await bus.wait_for_disconnect()
                self._part(bus)
        finally:
            bus, self._bus = self._bus, None
            if bus is not None:
                bus.disconnect()

    async def call(  # noqa: PLR0913, PLR0917  # a call of D-Bus has these
        self,
        destination: str,
        interface: str,
        path: str,
        member: str,
        signature: str = "",
        body: Sequence[Any] = (),
        patience: float | None = None,
    ) -> Any:
        """Call a method, and return the answer; the bus starts what is called where it is not running and can be started.

        :raises BusLost: there is no bus, or no answer within ``patience`` seconds, by default ``PATIENCE``.
        :raises BusCallRefused: the answer is an error.
        """
        with in_time(f"{member} of {destination}", patience):
            bus = await self._connected()
            return await self._ask(bus, destination, interface, path, member, signature, list(body))

    async def tell(  # noqa: PLR0913, PLR0917  # as above
        self, destination: str, interface: str, path: str, member: str, signature: str, body: Sequence[Any]
    ) -> None:
        """Call a method that answers nothing; who is called may be started for it.

        :raises BusLost: there is no bus.
        """
        with in_time(f"the {self._kind.name}"):
            bus = await self._connected()
            library = _library()
            flags = library.MessageFlag.NO_REPLY_EXPECTED
            message = library.Message(
                destination=destination,
                path=path,
                interface=interface,
                member=member,
                flags=flags,
                signature=signature,
                body=list(body),
            )
            try:
                await bus.send(message)
            except (EOFError, OSError) as gone:
                raise self._gone(bus, gone) from None

    async def match(self, rule: str) -> None:
        """Hear the signals of a rule from now on; errors as for :meth:`call`."""
        await self.call(BUS, BUS, BUS_PATH, "AddMatch", "s", [rule])

    async def unmatch(self, rule: str) -> None:
        """Hear the signals of a rule no more; errors as for :meth:`call`."""
        await self.call(BUS, BUS, BUS_PATH, "RemoveMatch", "s", [rule])

    async def connect(self) -> None:
        """Make a connection, where there is none.

        :raises BusLost: there is no bus, or it does not answer within ``PATIENCE``.
        """
        with in_time(f"the {self._kind.name}"):
            await self._connected()

    async def _connected(self) -> Any:
        async with self._connecting:
            return self._bus or await self._connect()

    async def _connect(self) -> Any:
        address = self._address or self._kind.find()
        if address is None:
            raise BusLost(self._kind.absent)
        library = _library()
        self.id = ""
        try:
            bus = await library.aio.MessageBus(bus_address=address).connect()
        except (EOFError, OSError, library.errors.DBusFastError, library.errors.AuthError) as failure:
            raise BusLost(f"the {self._kind.name} cannot be reached: {_words(failure)}") from None
        bus.add_message_handler(partial(self._take, bus))
        try:
            answer = await self._ask(bus, BUS, BUS, BUS_PATH, "GetId", "", [])
        except BaseException:
            bus.disconnect()
            raise
        self.id, self._bus = str(answer.body[0]), bus
        self.connections += 1
        self._came.set()
        self._made()
        return bus

    async def _ask(  # noqa: PLR0913, PLR0917  # as above
        self, bus: Any, destination: str, interface: str, path: str, member: str, signature: str, body: list[Any]
    ) -> Any:
        library = _library()
        message = library.Message(
            destination=destination, path=path, interface=interface, member=member, signature=signature, body=body
        )
        try:
            answer = await bus.call(message)
        except (EOFError, OSError) as gone:
            raise self._gone(bus, gone) from None
        if answer is None:
            raise BusLost(f"the {self._kind.name} has gone")
        if answer.message_type is library.MessageType.ERROR:
            words = answer.body[0] if answer.signature.startswith("s") else ""
            raise BusCallRefused(str(answer.error_name), str(words))
        return answer

    def _take(self, bus: Any, message: Any) -> bool:
        types = _library().MessageType
        if message.message_type is types.SIGNAL:
            self._hear(message)
        return message.message_type is types.METHOD_CALL and self._answer(message, partial(_reply, bus))

    def _gone(self, bus: Any, failure: BaseException) -> BusLost:
        self._part(bus)
        return BusLost(f"the {self._kind.name} has gone: {_words(failure)}")

    def _part(self, bus: Any) -> None:
        """Let a connection go that has ended; what is told twice happens once."""
        if bus is self._bus:
            self._bus = None
            self._lost()


def _reply(bus: Any, message: Any) -> None:
    """Send an answer, where the connection is still there over which the call has come."""
    if bus.connected:
        bus.send(message).add_done_callback(Future.exception)  # that it was lost is said where the connection ends


def _library() -> Any:
    """Return dbus-fast, which is an extra and is loaded when there is a bus to connect to.

    :raises BusLost: it is not installed.
    """
    try:
        import_module("dbus_fast.aio")
        return import_module("dbus_fast")
    except ImportError:
        raise BusLost(EXTRA) from None


def _words(failure: BaseException) -> str:
    return harmless(describe_error(failure), MAX_SENTENCE)
