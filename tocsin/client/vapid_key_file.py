"""Where a sender's VAPID key comes from: the text of it, or the file that has it."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Final

from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted
from tocsin.webpush.vapid_keys import VapidKey

_HEADING: Final = "-----BEGIN "
_MOST: Final = 16 * 1024  # bytes of a file


def read_key(key: VapidKey | str | PathLike[str]) -> VapidKey:
    """Return a key: itself, of PEM, or of a file in PEM or with the base64url of the private key's number.

    :raises InvalidArgument: it is none; the sentence does not show it.
    """
    check_kind(key, "a VAPID key", VapidKey, str, PathLike)
    if isinstance(key, VapidKey):
        return key
    if isinstance(key, str) and key.lstrip().startswith(_HEADING):
        return VapidKey.from_pem(key.strip())
    content = _content(key)
    try:
        return VapidKey.from_pem(content) if _HEADING in content else VapidKey.from_text(content)
    except InvalidArgument as wrong:
        raise InvalidArgument(f"the file {quoted(str(key))} has no VAPID key, in PEM or as text: {wrong}") from None


def _content(path: str | PathLike[str]) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST + 1)
    except (OSError, ValueError) as failure:
        words = getattr(failure, "strerror", None) or failure
        raise InvalidArgument(
            f"the VAPID key {quoted(str(path))} cannot be read: {words}; 'tocsin webpush keys --out FILE' makes one"
        ) from None
    if len(content) > _MOST or not content.isascii():
        raise InvalidArgument(f"the file {quoted(str(path))} has no VAPID key, which is text of a few lines")
    return content.decode("ascii")
