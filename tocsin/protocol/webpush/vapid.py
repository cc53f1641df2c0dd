"""How a sender says who it is (RFC 8292): a token that its key has signed, which names the push service and an end.

Signatures are looked at by ``tocsin.webpush.vapid_keys``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

from attrs import field, frozen

from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted
from tocsin.protocol.webpush import base64url
from tocsin.protocol.webpush.header_parameters import read_parameters

LONGEST: Final = 24 * 3600
"""Seconds that a token is good for at most (RFC 8292 §2)."""

LEEWAY: Final = 300
"""Seconds that a sender's clock may be ahead."""

MAX_TOKEN: Final = 4_096
"""Characters of a token at most; those of real senders have some 300."""

POINT: Final = 65
"""Bytes of a public key: a point on P-256, uncompressed."""

_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_SUBJECT: Final = re.compile(r"mailto:[!-~]+@[!-~]+|https://[!-~]+", re.IGNORECASE)
_PORTS: Final = {"http": 80, "https": 443}


@frozen(cache_hash=True)  # each push of a sender asks for it
class VapidToken:
    """What a sender has said of itself; neither signature nor claims were looked at.

    :param token: the JSON web token.
    :param key: the public key that must have signed it: ``POINT`` bytes, which need be no point.
    """

    token: str = field(repr=False)  # whose it is may be sent by others until its end
    key: bytes


@frozen
class VapidRefusal:
    """Why an ``Authorization`` is none; ``words`` is a sentence that shows nothing of it."""

    words: str


def is_point(key: bytes) -> bool:
    """Tell whether a public key is written as a point is; whether the curve has that point is not looked at."""
    return len(key) == POINT and key[0] == 4


def read_key(text: str) -> bytes:
    """Read the public key of a sender in base64url, padded or not; whether the curve has that point is not looked at.

    :return: ``POINT`` bytes.
    :raises ValueError: it is none.
    """
    try:
        key = base64url.decode(text)
    except ValueError as fault:
        raise ValueError(f"it is no base64url: {fault}") from None
    if not is_point(key):
        raise ValueError(f"it is no uncompressed point on P-256, which has {POINT} bytes, the first is 4")
    return key


def read_vapid(authorization: str, crypto_key: str | None) -> VapidToken | VapidRefusal:
    """Read who has sent a message, in the form of RFC 8292 or in that of the drafts before it.

    :param authorization: ``vapid t=JWT, k=KEY``, or the older ``WebPush JWT``.
    :param crypto_key: the value of ``Crypto-Key``, which has the key of the older form as ``p256ecdsa``.
    """
    scheme, rest = (*authorization.split(None, 1), "", "")[:2]
    match scheme.lower():
        case "vapid":
            parameters = _parameters(rest)
            names = "t and k"
            token, key = parameters.get("t"), parameters.get("k")
        case "webpush":
            names = "the token, and p256ecdsa in Crypto-Key"
            token, key = rest.strip() or None, _parameters(crypto_key or "").get("p256ecdsa")
        case _:
            return VapidRefusal("the Authorization of Web Push is written 'vapid t=TOKEN, k=KEY' (RFC 8292)")
    if token is None or key is None:
        return VapidRefusal(f"Authorization '{scheme.lower()}' lacks a part, or has one twice: it is made of {names}")
    return _judge(token, key)


def _parameters(text: str) -> dict[str, str]:
    """Put the parameters of all entries together; none where they cannot be read, or one is given twice."""
    try:
        entries = read_parameters(text)
    except ValueError:
        return {}
    together = {name: value for entry in entries for name, value in entry.items()}
    return together if len(together) == sum(map(len, entries)) else {}


def _judge(token: str, key: str) -> VapidToken | VapidRefusal:
    if len(token) > MAX_TOKEN:
        return VapidRefusal(f"the VAPID token has more than {MAX_TOKEN} characters, which are read at most")
    if not _JWT.fullmatch(token):
        return VapidRefusal("the VAPID token is no signed JWT: three parts of base64url with dots between them")
    try:
        return VapidToken(token, read_key(key))
    except ValueError as fault:
        return VapidRefusal(f"the VAPID key cannot be read: {fault}")


def check_subject(subject: object) -> None:
    """Refuse what is no subject of a token (RFC 8292 §2.1).

    :raises InvalidArgument: it is none.
    """
    check_kind(subject, "the subject", str)
    if not _SUBJECT.fullmatch(str(subject)):
        raise InvalidArgument(
            "the subject is how the push service's operator reaches you: 'mailto:ops@app.example', or a page that begins with"
            f" https://, not {quoted(subject)}"
        )


def claims(audience: str, expires: float, subject: str) -> dict[str, object]:
    """Make what a token says.

    :param audience: the origin of the push service.
    :param expires: when it ends, in seconds since the epoch.
    :param subject: whom the operator of the service may turn to: ``mailto:`` or ``https:``.
    """
    return {"aud": audience, "exp": int(expires), "sub": subject}


def fault_of(claims: Mapping[str, object], origins: Collection[str], now: float) -> str | None:
    """Return why a token is not good here and now, as a sentence; None where it is.

    Real senders leave out the port of the audience, give several, and set the end to the last second that is allowed;
    they are not asked for a subject.

    :param claims: what the token says, in any types.
    :param origins: the origins that the push service is reached by, such as ``https://push.example:8443``.
    :param now: seconds since the epoch.
    """
    for name in ("iat", "nbf"):
        if name in claims and not _is_number(claims[name]):
            return f"the VAPID token's {name} is no number"
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not any(_same(each, origin) for each in named for origin in origins):
        return f"the VAPID token is for another push service: its aud must be {' or '.join(origins)}"
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or isinstance(expires, bool):
        return "the VAPID token has no end: its exp must be a number of seconds since 1970"
    if not expires > now:  # which is no number, too
        return "the VAPID token is over: its exp has passed, so sign a new one"
    if expires > now + LONGEST + LEEWAY:
        return f"the VAPID token ends too late: its exp may be {LONGEST // 3600} hours ahead at most"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(audience: object, origin: str) -> bool:
    """Tell whether an audience is that origin, with its port or without."""
    if not isinstance(audience, str):
        return False
    theirs, ours = _place(audience), _place(origin)
    if theirs is None or ours is None or theirs[:2] != ours[:2]:
        return False
    return theirs[2] in {None, ours[2] or _PORTS.get(ours[0])}


def _place(origin: str) -> tuple[str, str | None, int | None] | None:
    """Return scheme, host and port of an origin; None where it is none."""
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return None
    is_bare = parts.path in {"", "/"} and not parts.query and not parts.fragment and parts.username is None
    return (parts.scheme, parts.hostname, port) if is_bare else None
