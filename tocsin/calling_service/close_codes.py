"""The codes with which the service closes the WebSocket of an agent."""

from __future__ import annotations

from typing import Final

from tocsin.protocol.errors import IllegalCall, NotSupported, SenderNotAllowed
from tocsin.protocol.network.causes import OTHER_VERSION, REPLACED

PROTOCOL_ERROR: Final = 1002
"""The agent sent what it must not (RFC 6455 §7.4.1)."""

POLICY_VIOLATION: Final = 1008
"""The agent is not let in, or not any more, or takes more than it may (RFC 6455 §7.4.1)."""

GOING_AWAY: Final = 1001
"""The service is stopping (RFC 6455 §7.4.1)."""

TRY_AGAIN_LATER: Final = 1013
"""The service cannot serve this agent just now (IANA registry)."""

_OF_ERRORS: Final = {
    IllegalCall.__name__: REPLACED,
    NotSupported.__name__: OTHER_VERSION,
    SenderNotAllowed.__name__: POLICY_VIOLATION,
}


def code_of(error: str) -> int:
    """Return the code that goes with the error of a last word; with most, the agent may try again later."""
    return _OF_ERRORS.get(error, TRY_AGAIN_LATER)
