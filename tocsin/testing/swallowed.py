"""What the real WNS takes without a word, and Windows then does nothing with.

WNS looks at headers and at the length of a body, and passes the body on; what is wrong in it shows on the device, as nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tocsin.protocol.errors import UnreadableContent
from tocsin.protocol.toasts.read_toast import read_toast
from tocsin.protocol.toasts.tile_content import read_badge, read_tile

_READERS: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "wns/toast": read_toast,
    "wns/tile": read_tile,
    "wns/badge": read_badge,
}

_OF_THE_PHONE: Final = (
    (
        "x-wns-suppresspopup",
        "true",
        "X-WNS-SuppressPopup is of Windows Phone: sent to Windows, such a toast is dropped",
    ),
)


def swallowed(method: str, headers: Mapping[str, str], body: bytes) -> tuple[str, ...]:
    """Return what is wrong with a notification that was taken, a sentence each.

    :param headers: by lower-cased name.
    """
    if method == "DELETE":
        return ("DELETE with X-WNS-Match is of Windows Phone: for a channel of Windows, WNS answers it with 405",)
    found = [words for name, value, words in _OF_THE_PHONE if headers.get(name) == value]
    kind = headers.get("x-wns-type", "")
    read = _READERS.get(kind)
    if read is not None:
        try:
            read(body)
        except UnreadableContent as wrong:
            found.append(f"the body is no {kind.removeprefix('wns/')} that Windows shows: {wrong}")
    return tuple(found)
