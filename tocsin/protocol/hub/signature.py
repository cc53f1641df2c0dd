"""Shared access signatures: how a client proves that it has a key of a hub, without showing it.

``SharedAccessSignature sr={audience}&sig={signature}&se={end}&skn={name of the key}``, its fields in any order. The signature is
the HMAC-SHA256, in base64, of ``sr`` as it was sent, a line feed and ``se``; its key is the text of the key, in UTF-8.

Clients sign for the endpoint, for the hub, or for the whole URL of the request; in small letters, of any scheme, with a port or
none. So the audience is compared by host and path alone, and covers what is below it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping
from hmac import compare_digest, digest
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from attrs import field, frozen

from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.text import quoted

SCHEME: Final = "SharedAccessSignature"

MAX_HEADER: Final = 16_384
"""Characters of the header at most: a client may sign for a URL with a channel's URI in it."""

CLOCK_SKEW: Final = 120
"""Seconds that a signature is taken beyond its end, since some clients sign for no more than 300 s by clocks that are not ours.

A signature does not say when it was made, so it is never too early.
"""

_FORM: Final = f"it is '{SCHEME} sr=...&sig=...&se=...&skn=...'."
_FIELDS: Final = ("sr", "sig", "se", "skn")


@frozen
class SharedAccessSignature:
    """A signature as it was sent; ``expires`` is ``se``, in seconds since the epoch."""

    resource: str = field(repr=False)
    """``sr`` as it was sent: what is signed, and who it is for once it is decoded."""
    signature: str = field(repr=False)
    expires: str
    key_name: str


def read_signature(header: str) -> SharedAccessSignature:
    """Read the header ``Authorization``.

    :raises HubRefused: 401; it is no such signature.
    """
    if not header:
        raise HubRefused(HubReason.SIGNATURE_MISSING, f"The request has no Authorization: {_FORM}")
    if len(header) > MAX_HEADER:
        raise HubRefused(HubReason.SIGNATURE_MALFORMED, f"Authorization has more than {MAX_HEADER} characters.")
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() != SCHEME.lower():
        raise HubRefused(HubReason.SIGNATURE_MALFORMED, f"Authorization is not of this kind: {_FORM}")
    found: dict[str, str] = {}
    for piece in rest.strip().split("&"):
        name, _, value = piece.partition("=")
        if name in found:
            raise HubRefused(HubReason.SIGNATURE_MALFORMED, f"Authorization has {quoted(name)} twice: {_FORM}")
        found[name] = value
    missing = [name for name in _FIELDS if not found.get(name)]
    if missing:
        raise HubRefused(HubReason.SIGNATURE_MALFORMED, f"Authorization lacks {' and '.join(missing)}: {_FORM}")
    expires = found["se"]
    if not (expires.isascii() and expires.isdecimal() and len(expires) <= 12):
        raise HubRefused(HubReason.SIGNATURE_MALFORMED, "se of Authorization is a time in whole seconds since 1970.")
    return SharedAccessSignature(found["sr"], unquote(found["sig"]), expires, unquote(found["skn"]))


def verify_signature(
    header: str, keys: Mapping[str, Iterable[str]], hosts: Collection[str], path: str, wall: float
) -> str:
    """Return the name of the key that a request was signed with.

    :param header: ``Authorization``, empty where there is none.
    :param keys: the keys that are good now, by name: there are two of a name while one is replaced by the other.
    :param hosts: the names and addresses of this service, with a port or without: that of the header ``Host`` among them.
    :param path: the path of the request as it was sent, percent-encoded.
    :param wall: seconds since the epoch.
    :raises HubRefused: 401; the sentence says what is wrong with it, once it is known that the client has the key.
    """
    signature = read_signature(header)
    name = signature.key_name
    if name not in keys:
        raise HubRefused(HubReason.UNKNOWN_KEY, f"The hub has no key named {quoted(name)}: it has {', '.join(keys)}.")
    sent = signature.signature.encode("utf-8", "backslashreplace")
    good = [compare_digest(sent, _sign(signature.resource, signature.expires, key)) for key in keys[name]]
    if not any(good):
        raise HubRefused(
            HubReason.SIGNATURE_FORGED,
            f"The signature was not made with the hub's key {name}: take its present connection string.",
        )
    late = wall - int(signature.expires)
    if late > CLOCK_SKEW:
        raise HubRefused(
            HubReason.SIGNATURE_EXPIRED,
            f"The signature has expired {late:.0f} s ago: sign anew, and look at the client's clock.",
        )
    if not _covers(signature.resource, hosts, path):
        raise HubRefused(
            HubReason.SIGNATURE_OF_ANOTHER_PATH,
            "The signature is for another host or path: its sr begins with the URL of this hub.",
        )
    return name


def make_signature(resource: str, key_name: str, key: str, expires: int) -> str:
    """Make the header ``Authorization``.

    :param resource: the URL that it is for, and all below it.
    :param expires: its end in seconds since the epoch.
    """
    audience = quote(resource.lower(), safe="")
    signature = quote(_sign(audience, str(expires), key), safe="")
    return f"{SCHEME} sr={audience}&sig={signature}&se={expires}&skn={quote(key_name, safe='')}"


def _sign(resource: str, expires: str, key: str) -> bytes:
    signed = f"{resource}\n{expires}".encode("utf-8", "backslashreplace")
    return b64encode(digest(key.encode(), signed, "sha256"))


def _covers(resource: str, hosts: Collection[str], path: str) -> bool:
    audience = unquote(resource)
    try:
        parts = urlsplit(audience)
    except ValueError:
        return False
    below, asked = _pieces(parts.path), _pieces(path)
    host = _host(parts.netloc)
    return bool(host) and host in map(_host, hosts) and below == asked[: len(below)]


def _host(authority: str) -> str:
    """Return the host of a header ``Host``, or of what stands there in a URL, without its port."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").removesuffix(".").lower()
    except ValueError:
        return ""


def _pieces(path: str) -> list[str]:
    return [unquote(piece).lower() for piece in path.split("/") if piece]
