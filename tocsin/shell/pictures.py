"""Which pictures of toasts are shown: files in folders that the user of the machine has named, and nothing else.

A sender chooses the source of a picture. What fetches it would tell that sender who reads, and when; what opens any file would
show what is none of the sender's. So nothing is fetched, and by default no picture is shown.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from stat import S_ISREG
from typing import Final
from urllib.parse import unquote, urlsplit

MAX_BYTES: Final = 2 * 1024 * 1024
MAX_SIDE: Final = 4096
"""Pixels of a side of a PNG at most."""

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG: Final = b"\xff\xd8\xff"
_HEAD: Final = 24


class PicturePolicy:
    """Returns the path of a picture that may be shown, of its source; the empty text where it may not.

    A call touches the disk. A source is an absolute path, or a ``file:`` URL of this machine. The file is a PNG or a JPEG, by
    its first bytes, of 2 MiB at most, and lies in one of the folders when all links are followed.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = [folder.resolve() for folder in folders]

    def __call__(self, source: str) -> str:
        """Return the path, or the empty text."""
        path = _path_of(source)
        if path is None or not self._folders:
            return ""
        try:
            found = path.resolve(strict=True)
            if not any(found.is_relative_to(folder) for folder in self._folders):
                return ""
            return str(found) if _is_picture(found) else ""
        except (OSError, RuntimeError, ValueError):  # links in a circle, a NUL in the name
            return ""


def _path_of(source: str) -> Path | None:
    if source.startswith("/"):
        return Path(source)
    try:
        parts = urlsplit(source)
    except ValueError:
        return None
    here = parts.scheme.lower() == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/")
    return Path(unquote(parts.path)) if here else None


def _is_picture(path: Path) -> bool:
    if not S_ISREG(path.stat().st_mode):  # a pipe would be waited for
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if file.seek(0, 2) > MAX_BYTES:
            return False
    if head.startswith(_PNG) and len(head) == _HEAD:
        return all(0 < side <= MAX_SIDE for side in struct.unpack(">II", head[16:24]))
    return head.startswith(_JPEG)
