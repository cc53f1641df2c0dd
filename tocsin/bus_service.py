"""An object that answers calls on a bus of D-Bus: which methods it has, how it describes them, and a task for each call.

The dictionaries of D-Bus whose values say their types (``a{sv}``) are here pairs of a signature and a value, by name.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from attrs import frozen

from tocsin.bus_connection import BusCallRefused
from tocsin.protocol.text import MAX_SENTENCE, harmless
from tocsin.tasks import Signal, task_group

MAX_CALLS: Final = 64
"""Calls that are answered at a time; one more is refused."""

INVALID_ARGUMENTS: Final = "org.freedesktop.DBus.Error.InvalidArgs"

_FAILED: Final = "org.freedesktop.DBus.Error.Failed"
_LIMITS_EXCEEDED: Final = "org.freedesktop.DBus.Error.LimitsExceeded"
_INTROSPECT: Final = ("org.freedesktop.DBus.Introspectable", "Introspect")

Send = Callable[[Any], object]
"""Sends a message on the connection that a call came over."""

logger = logging.getLogger(__name__)


@frozen
class BusMethod:
    """A method: the signatures of what it takes and gives, and what is done.

    ``answer`` gets and returns a list of values, and raises :class:`BusCallRefused` to answer with an error.
    """

    takes: str
    gives: str
    answer: Callable[[list[Any]], Awaitable[Sequence[Any]]]


class ServedObject:
    """One object at a path.

    :param interfaces: its methods by their names, by the names of interfaces.
    """

    def __init__(self, path: str, interfaces: Mapping[str, Mapping[str, BusMethod]]) -> None:
        self._path, self._interfaces = path, interfaces
        self._taken: list[tuple[BusMethod, Any, Send]] = []
        self._stirred = Signal()
        self._open = 0

    def take(self, call: Any, send: Send) -> bool:
        """Take a call; False leaves it to dbus-fast, which knows the interfaces that all objects have, and refuses others."""
        if call.path != self._path:
            return False
        if (call.interface, call.member) == _INTROSPECT:
            _answer(call, send, "s", [self._description()])
            return True
        method = self._interfaces.get(call.interface, {}).get(call.member)
        if method is None:
            return False
        if call.signature != method.takes:
            words = f"{call.member} takes arguments of the signature {method.takes!r}, not {call.signature!r}"
            _refuse(call, send, BusCallRefused(INVALID_ARGUMENTS, words))
        elif self._open >= MAX_CALLS:
            words = f"{MAX_CALLS} calls are being answered, and no more are taken"
            _refuse(call, send, BusCallRefused(_LIMITS_EXCEEDED, words))
        else:
            self._open += 1
            self._taken.append((method, call, send))
            self._stirred.set()
        return True

    async def run(self) -> None:
        """Answer what was taken, until cancelled."""
        async with task_group() as tasks:
            while True:
                while self._taken:
                    tasks.start_soon(self._serve, *self._taken.pop(0))
                await self._stirred.wait()

    async def _serve(self, method: BusMethod, call: Any, send: Send) -> None:
        try:
            given = await method.answer(as_pairs(call.body))
            _answer(call, send, method.gives, as_variants(given))
        except BusCallRefused as refused:
            _refuse(call, send, refused)
        except Exception:
            logger.exception("a call of %s on the bus could not be answered", call.member)
            _refuse(call, send, BusCallRefused(_FAILED, "it could not be answered"))
        finally:
            self._open -= 1

    def _description(self) -> str:
        about = import_module("dbus_fast.introspection")

        def arguments(signature: str, direction: str) -> list[Any]:
            types = import_module("dbus_fast.signature").get_signature_tree(signature).types
            return [about.Arg(each, getattr(about.ArgDirection, direction)) for each in types]

        interfaces = [
            about.Interface(
                name,
                [
                    about.Method(m, arguments(each.takes, "IN"), arguments(each.gives, "OUT"))
                    for m, each in methods.items()
                ],
            )
            for name, methods in self._interfaces.items()
        ]
        return str(about.Node(None, interfaces).tostring())


def as_pairs(body: Sequence[Any]) -> list[Any]:
    """Return what has come over a bus, its dictionaries of any types as pairs."""
    return [
        {name: (value.signature, value.value) for name, value in each.items()} if _has_variants(each) else each
        for each in body
    ]


def as_variants(body: Sequence[Any]) -> list[Any]:
    """Return what is to go over a bus; the other way round."""
    variant = import_module("dbus_fast").Variant
    return [{name: variant(*pair) for name, pair in each.items()} if isinstance(each, dict) else each for each in body]


def _has_variants(value: Any) -> bool:
    return isinstance(value, dict) and all(hasattr(each, "signature") for each in value.values())


def _answer(call: Any, send: Send, signature: str, body: list[Any]) -> None:
    library = import_module("dbus_fast")
    if not call.flags & library.MessageFlag.NO_REPLY_EXPECTED:
        send(library.Message.new_method_return(call, signature, body))


def _refuse(call: Any, send: Send, refused: BusCallRefused) -> None:
    library = import_module("dbus_fast")
    if not call.flags & library.MessageFlag.NO_REPLY_EXPECTED:
        send(library.Message.new_error(call, refused.name, harmless(refused.words, MAX_SENTENCE)))
