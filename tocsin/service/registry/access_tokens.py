"""Access tokens: JSON web tokens that only this service signs and reads (RFC 7519)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from enum import Enum, auto, unique

import jwt
from attrs import frozen

from tocsin.protocol.values import TOKEN_LIFETIME
from tocsin.service.registry.apps import Apps
from tocsin.service.registry.service_store import ServiceStore

AUDIENCE = "https://wns.windows.com/"
"""For whom the tokens are: the resource that the Entra forms ask for."""

_ISSUER = "tocsin"
_ALGORITHM = "HS256"
_KEY_BYTES = 32
_MAX_TOKEN = 2_048  # characters; ours have some 350
_CACHE = 4_096  # tokens


@unique
class TokenFault(Enum):
    """Why a token is not accepted."""

    FORGED = auto()
    EXPIRED = auto()
    UNKNOWN_APP = auto()


@frozen
class _Claims:
    client_id: str
    expires: float


class AccessTokens:
    """Signs and verifies; made by :meth:`load`."""

    def __init__(self, key: bytes, registrations: Apps, now: Callable[[], float]) -> None:
        self._key = key
        self._registrations = registrations
        self._now = now
        self._verified: dict[str, _Claims] = {}  # only what was verified comes in: forgeries cannot flush it

    @classmethod
    async def load(cls, store: ServiceStore, registrations: Apps, now: Callable[[], float]) -> AccessTokens:
        """Take the signing key from the store, or make it; of several nodes that make one at once, one is kept.

        :raises StateUnavailable: the store cannot be used.
        """
        key = await store.meta("token_key") or await store.meta_or_set("token_key", secrets.token_bytes(_KEY_BYTES))
        return cls(key, registrations, now)

    def issue(self, client_id: str) -> str:
        """Sign a token for an app, valid for ``TOKEN_LIFETIME`` seconds from now."""
        now = int(self._now())
        claims = {
            "iss": _ISSUER,
            "aud": AUDIENCE,
            "appid": client_id,
            "iat": now,
            "exp": now + TOKEN_LIFETIME,
            "jti": secrets.token_hex(16),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def verify(self, token: str) -> str | TokenFault:
        """Return the client id of the app that the token was issued to, or what is wrong with it."""
        claims = self._verified.get(token) or self._decode(token)
        if claims is None:
            return TokenFault.FORGED
        if claims.expires <= self._now():
            return TokenFault.EXPIRED
        if not self._registrations.known(claims.client_id):
            return TokenFault.UNKNOWN_APP
        return claims.client_id

    def is_verified(self, token: str) -> bool:
        """Tell whether a token was found to be signed by this service, lately; it may have expired since."""
        return token in self._verified

    def holder_of(self, token: str) -> str:
        """Return the client id of the app that a token was issued to, if the token was verified lately; else nothing."""
        claims = self._verified.get(token)
        return "" if claims is None else claims.client_id

    def _decode(self, token: str) -> _Claims | None:
        if len(token) > _MAX_TOKEN:
            return None
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=_ISSUER,
                # Time is compared by us, on our clock.
                options={"require": ["exp", "appid"], "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.InvalidTokenError:
            return None
        verified = _Claims(client_id=str(claims["appid"]), expires=float(claims["exp"]))
        if len(self._verified) >= _CACHE:
            del self._verified[next(iter(self._verified))]
        self._verified[token] = verified
        return verified
