"""How a device is parted with."""

from __future__ import annotations

from attrs import frozen


@frozen
class Parting:
    """The close code, and the words for the device's log."""

    code: int
    words: str
