"""How a sender gets its access token: to whom it may show its secret, the two forms of asking, and the answers.

Sources: "Send push notifications using WNS" for the Live form, "OAuth 2.0 client credentials flow" for Entra's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from attrs import field, frozen

from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.network.addresses import is_loopback
from tocsin.protocol.sending.results import MAY_PASS, read_wait
from tocsin.protocol.text import quoted

WNS_DOMAIN: Final = ".notify.windows.com"
"""Where the channels of the real WNS live; the name in front of it changes."""

LIVE_URL: Final = "https://login.live.com/accesstoken.srf"
"""The token endpoint of the real WNS for package SIDs."""

ENTRA_URL: Final = "https://login.microsoftonline.com"
"""The token endpoints of the real WNS for app registrations of a tenant."""

LOOPBACK: Final = "loopback"
"""Stands among hosts for the own machine under any of its names."""

DEFAULT_LIFE: Final = 3600.0
"""Seconds that a token is used whose answer does not say how long it is valid."""

UNCLEAR_LIFE: Final = 60.0
"""Seconds that a token is used whose answer says how long in a way that is not understood."""

MAX_LIFE: Final = 30 * 24 * 3600.0
"""Seconds that a token is used at most."""

TENANT: Final = re.compile("[A-Za-z0-9][A-Za-z0-9.-]{0,254}")
"""What an Entra tenant may look like: a GUID, or a domain."""

_FOREIGN: Final = (
    (
        re.compile("^[\"'`<\u2018\u201c]|[\"'`>\u2019\u201d]$"),
        "has no quotes of its own: leave out what stands around it",
    ),
    (re.compile(r"\s"), "has no blanks and no line breaks: copy it whole, and nothing besides"),
    (re.compile(r"\\"), "has no backslashes: in quotes, a shell wants none"),
    (re.compile("^[A-Za-z]+://.*[^!-~]"), "has ASCII characters only: copy the whole of it, not one that dots shorten"),
    (re.compile("#"), "has no #: leave out what stands behind it, too"),
    (re.compile("^[A-Za-z]+://[^/?]*@"), "has no user and no password before its host"),
)
"""What comes along where a URL is copied from a page or a shell, and what is said of it; no part of the URL is shown."""

_MICROSOFT: Final = frozenset({"login.live.com", "login.microsoftonline.com"})
_PLAIN = re.compile(r"[!-\[\]-~]+")  # printable ASCII without blank and backslash
_LIFE = re.compile(r"[0-9]{1,300}(?:\.[0-9]{0,9})?")
_MARGIN = 300.0  # seconds before its end that a token is renewed; never more than a tenth of its life
_SCOPES: Final = {
    "/oauth2/v2.0/token": {"scope": "https://wns.windows.com/.default"},
    "/oauth2/token": {"resource": "https://wns.windows.com/"},
}
_LIVE_SCOPE: Final = {"scope": "notify.windows.com"}


@frozen
class Token:
    """An access token, and the seconds from now after which another is to be fetched."""

    value: str = field(repr=False)
    fresh: float


@frozen
class Denied:
    """No token; ``status`` is None where there was no answer, the last three are as in :class:`SendResult`."""

    status: int | None
    text: str
    retry_after: float | None = None
    retry_unclear: str | None = None
    lasting: bool = False

    @property
    def final(self) -> bool:
        """Whether asking again in the same way can only bring the same."""
        return self.status not in MAY_PASS and self.status != 429


def trusted_hosts(token_url: str | None) -> tuple[str, ...]:
    """Say which hosts a sender's channels may have if it names none: who is not among them would learn its token.

    Without a token URL the secret itself goes to the channel's host, which therefore is WNS or the own machine.
    """
    if token_url is None:
        return (WNS_DOMAIN, LOOPBACK)
    host = split_url(token_url, "a token URL").hostname or ""
    return (WNS_DOMAIN,) if host in _MICROSOFT else (host,)


@lru_cache(1_024)
def token_url_of(channel: SplitResult, tenant: str | None) -> str:
    """Return where the tokens for a channel come from: in Entra's form for a tenant, else in the Live form."""
    is_wns = covers(WNS_DOMAIN, channel.hostname or "")
    if tenant is not None:
        return f"{ENTRA_URL if is_wns else origin(channel)}/{tenant}/oauth2/v2.0/token"
    return LIVE_URL if is_wns else f"{origin(channel)}/accesstoken.srf"


def origin(parts: SplitResult) -> str:
    """Return scheme, host and port of a URL."""
    return f"{parts.scheme}://{parts.netloc}"


def split_url(url: str, what: str) -> SplitResult:
    """Take a URL of the web apart.

    :raises InvalidArgument: it is none; the sentence names it by ``what`` and does not show it.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except (ValueError, AttributeError, TypeError):  # the latter two where it is no text at all
        whole = False
    # Parsers disagree on the rest: what one takes for the host must not be another's password.
    if not whole or not is_written_well(url) or "@" in parts.netloc:
        raise wrong_url(url, what)
    return parts


def wrong_url(url: object, what: str) -> InvalidArgument:
    """Say what a URL has that must not be in one, or how it begins."""
    words = next((words for wrong, words in _FOREIGN if isinstance(url, str) and wrong.search(url)), None)
    return InvalidArgument(f"{what} {words or 'begins with http:// or https:// and a host'}")


def is_written_well(url: str) -> bool:
    """Tell whether a text has only what may be in a URL without a fragment."""
    return "#" not in url and _PLAIN.fullmatch(url) is not None


def split_service_url(url: str, what: str) -> SplitResult:
    """Take the URL of a push service apart, to which paths are added.

    :raises InvalidArgument: it is none; the sentence names it by ``what``, and shows it where it has no credentials.
    """
    check_kind(url, what, str)
    try:
        parts = split_url(url, what)
    except InvalidArgument:
        parts = None
    if parts is None or "?" in url:
        shown = "" if "@" in url else f", not {quoted(url)}"
        raise InvalidArgument(
            f"{what} is a URL such as https://push.example, without credentials, query and fragment{shown}"
        )
    return parts


def covers(pattern: str, host: str) -> bool:
    """Tell whether a host is the one that is trusted, or one of those; both are lower-cased."""
    if pattern == LOOPBACK:
        return is_loopback(host)
    return host == pattern.removeprefix(".") or (pattern.startswith(".") and host.endswith(pattern))


def token_form(token_url: str, client_id: str, client_secret: str) -> dict[str, str]:
    """Fill in the form that the token URL stands for; any that is not Entra's is taken for the Live form."""
    path = urlsplit(token_url).path.rstrip("/")
    scope = next((scope for ending, scope in _SCOPES.items() if path.endswith(ending)), _LIVE_SCOPE)
    return {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
        **scope,
    }


def read_token(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Token | Denied:
    """Read the answer of a token endpoint of either form; ``headers`` and ``now`` are as for ``read_answer``."""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):  # the latter at some ten thousand brackets
        reply = None
    if not isinstance(reply, dict):
        return Denied(status, f"it answered {status} without a token", *read_wait(headers, now))
    token = reply.get("access_token")
    if status == 200 and isinstance(token, str) and token.isascii() and token.isprintable() and token:
        life = _life(reply.get("expires_in"))
        return Token(token, life - min(_MARGIN, life / 10))
    return Denied(status, _reason(status, reply), *read_wait(headers, now))


def _life(expires_in: Any) -> float:
    """Read the seconds that a token is valid: a number or, as Entra sometimes writes it, text; or nothing."""
    if expires_in is None:
        return DEFAULT_LIFE
    if isinstance(expires_in, str) and _LIFE.fullmatch(expires_in.strip()):
        return min(float(expires_in), MAX_LIFE)
    if type(expires_in) is int and expires_in >= 0:
        return float(min(expires_in, MAX_LIFE))  # it may have more digits than a float
    if type(expires_in) is float and isfinite(expires_in) and expires_in >= 0:
        return min(expires_in, MAX_LIFE)
    return UNCLEAR_LIFE


def _reason(status: int, reply: dict[str, Any]) -> str:
    """Say what the endpoint said: the error, its description, and what Microsoft asks for in a support request."""
    error = reply.get("error")
    if not isinstance(error, str):
        return f"it answered {status} without a token"
    words = [error]
    description = reply.get("error_description")
    if isinstance(description, str):
        words.append(description)
    traces = [f"{name} {reply[name]}" for name in ("trace_id", "correlation_id") if isinstance(reply.get(name), str)]
    return ": ".join(words) + (f" ({', '.join(traces)})" if traces else "")
