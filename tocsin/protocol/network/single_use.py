"""What is good once, and for a while: an address that lets in who was given it, and no one behind."""

from __future__ import annotations

import hmac

from attrs import define


@define
class SingleUse:
    """A key that opens something once.

    :param key: the key, which cannot be guessed.
    :param until: when it has lost its worth, in seconds on a clock that never goes back.
    """

    _key: str
    _until: float
    _is_used: bool = False

    def opens(self, given: str, now: float) -> bool:
        """Tell whether what is given is the key, for the first time and in time; what is not the key uses nothing up."""
        is_it = hmac.compare_digest(given.encode("utf-8", "replace"), self._key.encode())
        opened = is_it and not self._is_used and now < self._until
        self._is_used |= opened
        return opened
