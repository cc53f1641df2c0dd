"""The token endpoints: the form of the Live service, and the two of Entra (RFC 6749 §4.4, client credentials).

Sources: "How to authenticate with the Windows Push Notification Services", and the Microsoft identity platform's
"OAuth 2.0 client credentials flow" with its error codes.
"""

from __future__ import annotations

import hashlib
import math
import struct
from base64 import b64decode
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus
from uuid import UUID, uuid4

from attrs import frozen
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tocsin.protocol.service.tally import Asked
from tocsin.protocol.values import TOKEN_LIFETIME
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.access_tokens import AUDIENCE, AccessTokens
from tocsin.service.registry.apps import Apps, SecretVerdict
from tocsin.service.senders.wns_refusals import refused
from tocsin.service.web.bodies import Bodies, BodyFault

MAX_FORM = 8 * 1024
"""Bytes of a token request's body at most."""

_MAX_FIELDS = 16
_SID = "ms-app://s-1-15-2-"
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_BODY_FAULTS: Final = {
    BodyFault.TOO_LONG: ("invalid_request", f"The request is longer than {MAX_FORM} bytes.", 413, 90023),
    BodyFault.TORN: ("invalid_request", "The request is not as long as its Content-Length says.", 400, 90023),
    BodyFault.LATE: ("invalid_request", "The request did not arrive in time.", 408, 90023),
    BodyFault.STOPPING: ("temporarily_unavailable", "The service is stopping.", 503, 90033),
}


class _Refused(Exception):
    """A request that gets no token: the error of RFC 6749 §5.2, words, the HTTP status, and Entra's number for it.

    ``wait`` are the seconds after which it may be tried again, where there is such a time. For the log there are a ``reason`` that
    says more than the error, and the client id that it concerns, if an app has it.
    """

    def __init__(  # noqa: PLR0913  # a record
        self,
        error: str,
        text: str,
        status: int,
        code: int,
        wait: float | None = None,
        *,
        reason: str = "",
        client_id: str = "",
    ) -> None:
        super().__init__(text)
        self.error = error
        self.text = text
        self.status = status
        self.code = code
        self.wait = wait
        self.reason = reason or error
        self.client_id = client_id


@frozen
class Dialect:
    """What one form of the endpoint asks for: the field that names the resource, its values, the error on another."""

    field: str
    values: frozenset[str]
    refusal: tuple[str, int]


LIVE: Final = Dialect("scope", frozenset({"notify.windows.com"}), ("invalid_scope", 70011))
ENTRA_V2: Final = Dialect("scope", frozenset({f"{AUDIENCE}.default"}), ("invalid_scope", 1002012))
ENTRA_V1: Final = Dialect("resource", frozenset({AUDIENCE, AUDIENCE.rstrip("/")}), ("invalid_resource", 500011))


def package_sid(client_id: str) -> str:
    """Return an app's client id as senders of the Live form know it: a package SID, made of the GUID with a check."""
    guid = UUID(client_id).bytes
    numbers = struct.unpack(">7I", guid + hashlib.sha256(guid).digest()[:12])
    return _SID + "-".join(map(str, numbers))


def _client_id(text: str) -> str:
    """Bring a client id, or a package SID of ours, into the spelling of the registrations; others stay as they are."""
    text = text.lower()
    if not text.startswith(_SID):
        return text
    try:
        first = [int(number) for number in text[len(_SID) :].split("-")[:4]]
        client_id = str(UUID(bytes=struct.pack(">4I", *first)))
    except (ValueError, struct.error):
        return text
    return client_id if package_sid(client_id) == text else text


class TokenEndpoint:
    """The endpoint's routes and what they share."""

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        registrations: Apps,
        tokens: AccessTokens,
        bodies: Bodies,
        wall: Callable[[], float],
        limits: Limits,
        counters: Counters,
    ) -> None:
        self._limits = limits
        self._counters = counters
        self._registrations = registrations
        self._tokens = tokens
        self._bodies = bodies
        self._wall = wall  # what senders are told in words and dates, which they judge by their own clocks

    def routes(self) -> list[Route]:
        """Return the routes; Entra's are tolerated with a slash at their end."""
        return [
            _post("/accesstoken.srf", self._live),
            _post("/{tenant}/oauth2/v2.0/token", self._entra_v2),
            _post("/{tenant}/oauth2/v2.0/token/", self._entra_v2),
            _post("/{tenant}/oauth2/token", self._entra_v1),
            _post("/{tenant}/oauth2/token/", self._entra_v1),
        ]

    async def _live(self, request: Request) -> Response:
        try:
            token = await self._grant(request, LIVE)
        except _Refused as refused:
            error = "invalid_client" if refused.error == "unauthorized_client" else refused.error
            status = 400 if refused.status == 401 else refused.status
            return _json({"error": error, "error_description": refused.text}, status, refused.wait)
        return _json({"access_token": token, "token_type": "bearer", "expires_in": TOKEN_LIFETIME}, 200)

    async def _entra_v2(self, request: Request) -> Response:
        return await self._entra(request, ENTRA_V2)

    async def _entra_v1(self, request: Request) -> Response:
        now = int(self._wall())
        times = {"not_before": str(now), "expires_on": str(now + TOKEN_LIFETIME)}
        return await self._entra(request, ENTRA_V1, **times, resource=AUDIENCE)

    async def _entra(self, request: Request, dialect: Dialect, **more: str) -> Response:
        try:
            token = await self._grant(request, dialect)
        except _Refused as refused:
            return self._entra_error(refused)
        life = TOKEN_LIFETIME - 1  # as Entra counts
        answer = {"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, **more, "access_token": token}
        return _json(answer, 200)

    def _entra_error(self, refused: _Refused) -> Response:
        content = {
            "error": refused.error,
            "error_description": f"AADSTS{refused.code}: {refused.text}",
            "error_codes": [refused.code],
            "timestamp": datetime.fromtimestamp(self._wall(), UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
            "trace_id": str(uuid4()),
            "correlation_id": str(uuid4()),
        }
        return _json(content, refused.status, refused.wait)

    async def _grant(self, request: Request, dialect: Dialect) -> str:
        """Issue the token, or raise why there is none; count either."""
        try:
            token = await self._judge(request, dialect)
        except _Refused as refused:
            self._counters.tokens_refused[refused.error] += 1
            address = self._limits.address_of(request.scope)
            self._counters.tally.refuse(Asked.TOKEN, refused.reason, refused.client_id, address)
            raise
        self._counters.tokens_issued += 1
        return token

    async def _judge(self, request: Request, dialect: Dialect) -> str:
        throttled = self._limits.address(request.scope)
        if throttled is not None:
            said = refused(throttled)
            raise _Refused(
                "temporarily_unavailable", said.description, 429, 90055, said.retry_after, reason=said.reason
            )
        length = request.headers.get("content-length")
        body = await self._bodies.read(request.receive, MAX_FORM, None if length is None else int(length))
        if isinstance(body, BodyFault):
            raise _Refused(*_BODY_FAULTS[body])
        given = {} if dialect is LIVE else _basic(request)
        fields = _parse(body, ("grant_type", "client_id", "client_secret", dialect.field), given)
        if fields["grant_type"] != "client_credentials":
            raise _Refused("unsupported_grant_type", "The grant type must be 'client_credentials'.", 400, 70003)
        if fields[dialect.field] not in dialect.values:
            error, code = dialect.refusal
            raise _Refused(error, f"The {dialect.field} must be '{max(dialect.values)}'.", 400, code)
        return self._prove(request, _client_id(fields["client_id"]), fields["client_secret"])

    def _prove(self, request: Request, client_id: str, secret: str) -> str:
        wait = self._limits.secret(request.scope, client_id)
        if wait:
            raise _Refused(
                *("temporarily_unavailable", "Too many wrong secrets: try again later.", 429, 90055, wait),
                reason="secret_throttled",
                client_id=client_id if self._registrations.known(client_id) else "",
            )
        if not self._registrations.is_current():
            raise _Refused(
                "temporarily_unavailable", "The service cannot use its store just now: try again.", 503, 90033, 1.0
            )
        match self._registrations.verify(client_id, secret):
            case SecretVerdict.UNKNOWN_APP:
                self._limits.wrong_secret(request.scope, client_id)
                raise _Refused("unauthorized_client", "No app is registered with this client id.", 400, 700016)
            case SecretVerdict.INVALID_SECRET:
                self._limits.wrong_secret(request.scope, client_id)
                text = "Invalid client secret provided."
                raise _Refused("invalid_client", text, 401, 7000215, client_id=client_id)
            case SecretVerdict.VALID:
                return self._tokens.issue(client_id)


def _post(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    return Route(path, endpoint, methods=["POST"])


def _json(content: dict[str, Any], status: int, wait: float | None = None) -> Response:
    # The rest of a body that was late may never come.
    headers = {**_NO_STORE, "Connection": "close"} if status == 408 else dict(_NO_STORE)
    if wait is not None:
        headers["Retry-After"] = str(math.ceil(wait))
    return JSONResponse(content, status, headers=headers)


def _basic(request: Request) -> dict[str, str]:
    """Take the credentials that a sender of the Entra forms may put into ``Authorization`` (RFC 6749 §2.3.1)."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    try:
        client_id, colon, secret = b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:
        return {}
    if scheme.lower() != "basic" or not colon:
        return {}
    return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}


def _parse(body: bytes, required: tuple[str, ...], given: dict[str, str]) -> dict[str, str]:
    """Take the form apart; all required fields are in it, once, or were given beside it."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        text = f"The request body is not a form in UTF-8 with at most {_MAX_FIELDS} fields."
        raise _Refused("invalid_request", text, 400, 9000411) from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields and name in required:
            text = f"The request is not properly formatted. The parameter '{name}' is duplicated."
            raise _Refused("invalid_request", text, 400, 9000411)
        fields[name] = value
    fields = {**given, **fields}
    for name in required:
        if not fields.get(name):
            text = f"The request body must contain the following parameter: '{name}'."
            raise _Refused("invalid_request", text, 400, 900144)
    return fields
