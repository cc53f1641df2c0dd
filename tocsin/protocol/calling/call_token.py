"""What a token of a calling service says of its user. The agent reads it; only the service can tell whether it is genuine."""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Any, Final

from attrs import frozen

from tocsin.protocol.arguments import EXACT, check_kind
from tocsin.protocol.calling.jwt_claims import read_jwt_claims
from tocsin.protocol.calling.raw_id import CommunicationIdentifier, read_raw_id
from tocsin.protocol.errors import InvalidArgument

MAX_CALL_TOKEN: Final = 8 * 1024
"""Characters of a token at most."""

_WHAT: Final = "the token"


@unique
class CallTokenKind(StrEnum):
    """Whose token it is, and in which directory its user."""

    ACS = "acs"
    """A user of Communication Services'."""
    TEAMS = "teams"
    """A Teams user's."""


@frozen
class CallTokenClaims:
    """What a token says; ``expires`` is in seconds since the epoch."""

    user: CommunicationIdentifier
    kind: CallTokenKind
    expires: float


def read_call_token(text: str) -> CallTokenClaims:
    """Read a token, up to ``MAX_CALL_TOKEN`` characters, without verifying it.

    Whether it has expired is for the caller to see, who knows the time.

    :raises InvalidArgument: it is none. The sentence shows nothing of it, since it is secret.
    """
    check_kind(text, _WHAT, str)
    claims = read_jwt_claims(text.strip(), _WHAT, MAX_CALL_TOKEN)
    return CallTokenClaims(_user(claims.get("sub")), _kind(claims.get("kind")), _expires(claims.get("exp")))


def _user(value: Any) -> CommunicationIdentifier:
    try:
        return read_raw_id(value)
    except InvalidArgument:  # its sentence shows the value
        raise InvalidArgument(
            f"{_WHAT} names no user: its claim sub must be a raw id, such as 8:acs:contoso_ann"
        ) from None


def _kind(value: Any) -> CallTokenKind:
    if not isinstance(value, str) or value not in set(CallTokenKind):
        raise InvalidArgument(f"{_WHAT} does not say of what kind its user is: its claim kind must be acs or teams")
    return CallTokenKind(value)


def _expires(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= EXACT:
        raise InvalidArgument(f"{_WHAT} does not say when it expires: its claim exp must be a number of seconds")
    return float(value)
