"""What a browser says to its push service: one JSON object a message, as Mozilla's push service has it (autopush).

KDE's distributor says the same with less: its hello has no ``use_webpush``, its acknowledgements no code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from attrs import field, frozen

from tocsin.protocol.browsers.browser_app import app_of
from tocsin.protocol.errors import InvalidArgument, ProtocolViolation
from tocsin.protocol.json_text import parse_json_text
from tocsin.protocol.text import quoted
from tocsin.protocol.webpush.vapid import POINT, read_key

MAX_TEXT: Final = 128 * 1024
"""Bytes of a message at most."""

MAX_UPDATES: Final = 1_024
"""Messages that are acknowledged at a time at most."""

MAX_CHANNEL_ID: Final = 64
"""Characters of a browser's name of a subscription at most; more than that is not even repeated to it."""

MAX_VERSION: Final = 128
"""Characters of a message's id at most."""

_MAX_TYPE: Final = 64  # characters of a word that is not known, as far as it is named
_UAID: Final = re.compile(r"[A-Za-z0-9_-]{32,128}", re.ASCII)
_UUID: Final = re.compile(r"\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?", re.ASCII)
_ACKED: Final = frozenset({100, 101, 102})
_NACKED: Final = frozenset({301, 302, 303})
_ENDED: Final = frozenset({200, 201, 202})


@frozen
class BrowserHello:
    """The first message; ``uaid`` is the browser's key, or None where it has none that could be ours."""

    uaid: str | None = field(repr=False)
    uses_web_push: bool
    """Whether it says that it reads every coding of Web Push."""

    @property
    def has_subscriptions(self) -> bool:
        """Whether it has some, and would have its sites subscribe anew if it were given another key.

        So Firefox, which names its key only then. KDE's distributor always does, and leaves its subscriptions as they are.
        """
        return self.uaid is not None and self.uses_web_push


@frozen
class BrowserRegister:
    """A subscription is wanted; ``key`` is the application server key that its senders must have, or None."""

    channel_id: str
    key: bytes | None = None

    @property
    def app(self) -> str:
        """What stands in the place of an app's name."""
        return app_of(self.channel_id)


@frozen
class BrowserUnregister:
    """A subscription ends; ``code`` tells why, for the count."""

    channel_id: str
    code: str = "none"

    @property
    def app(self) -> str:
        """What stands in the place of an app's name."""
        return app_of(self.channel_id)


@frozen
class Misasked:
    """A question that cannot be answered as asked: ``kind`` is its messageType, the words say what is wrong."""

    kind: str
    channel_id: str
    words: str


@frozen
class Acked:
    """The browser is done with messages, whatever became of them: a version and a code of each, for the count."""

    updates: tuple[tuple[str, str], ...]


@frozen
class BrowserPing:
    """The browser asks whether the connection is alive, and wants the same back."""


@frozen
class PassedOver:
    """Something that needs no answer: ``kind`` is its messageType."""

    kind: str


BrowserMessage = BrowserHello | BrowserRegister | BrowserUnregister | Misasked | Acked | BrowserPing | PassedOver


def read_browser_message(text: str) -> BrowserMessage:
    """Read a message.

    :raises ProtocolViolation: it is none, or no answer could be understood.
    """
    try:
        said = parse_json_text(text, "a browser's message", MAX_TEXT)
    except InvalidArgument as wrong:
        raise ProtocolViolation(str(wrong)) from None
    if not isinstance(said, dict):
        raise ProtocolViolation("a browser's message is a JSON object")
    if not said:
        return BrowserPing()
    kind = said.get("messageType")
    if not isinstance(kind, str):
        raise ProtocolViolation("a browser's message has a messageType")
    read = _READERS.get(kind)
    return PassedOver(kind[:_MAX_TYPE]) if read is None else read(said)


def _hello(said: dict[str, Any]) -> BrowserHello:
    return BrowserHello(_uaid(said.get("uaid")), said.get("use_webpush") is True)


def _uaid(said: object) -> str | None:
    """Return a key as ours are, or as long; a browser that has another is given a new one, and knows that its subscriptions are none of ours."""
    return said if isinstance(said, str) and _UAID.fullmatch(said) else None


def _register(said: dict[str, Any]) -> BrowserRegister | Misasked:
    channel_id, key = _channel_id(said), said.get("key")
    fault = _fault_of(channel_id)
    if fault:
        return Misasked("register", channel_id, fault)
    if key is None:
        return BrowserRegister(channel_id)
    try:
        return BrowserRegister(channel_id, read_key(key if isinstance(key, str) else ""))
    except ValueError:
        words = f"key is an application server key: {POINT} bytes in base64url, of which the first is 4"
        return Misasked("register", channel_id, words)


def _unregister(said: dict[str, Any]) -> BrowserUnregister | Misasked:
    channel_id = _channel_id(said)
    fault = _fault_of(channel_id)
    return Misasked("unregister", channel_id, fault) if fault else BrowserUnregister(channel_id, _code(said, _ENDED))


def _channel_id(said: dict[str, Any]) -> str:
    """Return what the answer is to repeat, whether it is right or not."""
    channel_id = said.get("channelID")
    if not isinstance(channel_id, str) or len(channel_id) > MAX_CHANNEL_ID:
        raise ProtocolViolation(f"channelID is a text of at most {MAX_CHANNEL_ID} characters")
    return channel_id


def _fault_of(channel_id: str) -> str:
    return "" if _UUID.fullmatch(channel_id) else f"channelID is a UUID, not {quoted(channel_id)}"


def _ack(said: dict[str, Any]) -> Acked:
    updates = said.get("updates")
    if not isinstance(updates, list) or len(updates) > MAX_UPDATES:
        raise ProtocolViolation(f"the updates of an ack are a list of at most {MAX_UPDATES}")
    if not all(isinstance(update, dict) for update in updates):
        raise ProtocolViolation("each update of an ack is an object")
    return Acked(tuple((_version(update), _code(update, _ACKED)) for update in updates))


def _version(said: dict[str, Any]) -> str:
    version = said.get("version")
    if not isinstance(version, str) or not 0 < len(version) <= MAX_VERSION:
        raise ProtocolViolation(f"the version of a message is a text of 1 to {MAX_VERSION} characters")
    return version


def _nack(said: dict[str, Any]) -> Acked:
    return Acked(((_version(said), _code(said, _NACKED)),))


def _code(said: dict[str, Any], known: frozenset[int]) -> str:
    """Return a code as it is counted: of those that are not known there could be any number."""
    code = said.get("code")
    if code is None:
        return "none"
    return str(code) if type(code) is int and code in known else "other"


_READERS: Final[dict[str, Callable[[dict[str, Any]], BrowserMessage]]] = {
    "hello": _hello,
    "register": _register,
    "unregister": _unregister,
    "ack": _ack,
    "nack": _nack,
}
