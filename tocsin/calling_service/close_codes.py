"""The codes with which the service closes the WebSocket of an agent for an error (RFC 6455 §7.4.1, and those of its own)."""

from __future__ import annotations

from typing import Final

from websockets.frames import CloseCode

from tocsin.protocol.errors import IllegalCall, NotSupported, SenderNotAllowed
from tocsin.protocol.network.causes import OTHER_VERSION, REPLACED

_OF_ERRORS: Final = {
    IllegalCall.__name__: REPLACED,
    NotSupported.__name__: OTHER_VERSION,
    SenderNotAllowed.__name__: CloseCode.POLICY_VIOLATION,
}


def code_of(error: str) -> int:
    """Return the code that goes with the error of a last word; with most, the agent may try again later."""
    return _OF_ERRORS.get(error, CloseCode.TRY_AGAIN_LATER)
