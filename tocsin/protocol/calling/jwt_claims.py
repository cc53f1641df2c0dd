"""What a JWT says, by its own account: its signature is not looked at, which only the one that has signed it can check."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.json_text import parse_json_text

_FORM = "three parts of base64url with dots between them"


def read_jwt_claims(token: str, what: str, most: int) -> dict[str, Any]:
    """Read the claims, which are the middle part.

    :param most: characters of the token at most.
    :raises InvalidArgument: it is no JWT. The sentence begins with ``what``, and shows nothing of it, since it may be secret.
    """
    if len(token) > most:
        raise InvalidArgument(f"{what} has more than {most} characters, which are read at most")
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidArgument(f"{what} is no JWT, which has {_FORM}")
    middle = parts[1].rstrip("=")
    try:
        encoded = b64decode(middle + "=" * (-len(middle) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):  # the latter: it is not ASCII
        raise InvalidArgument(f"{what} is no JWT, which has {_FORM}: the middle one is no base64url") from None
    try:
        claims = parse_json_text(encoded, "the middle part", most)
    except InvalidArgument:  # its sentence might quote a claim
        raise InvalidArgument(f"{what} is no JWT: the middle part is no JSON that is read") from None
    if not isinstance(claims, dict):
        raise InvalidArgument(f"{what} is no JWT: the middle part is no JSON object")
    return claims
