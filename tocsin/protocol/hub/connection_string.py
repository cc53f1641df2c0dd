"""A hub's connection string: where it is, and a key for it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from attrs import field, frozen

from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument

MAX_CONNECTION_STRING: Final = 4_096
"""Characters of it at most."""

_FORM: Final = "Endpoint=sb://host/;SharedAccessKeyName=...;SharedAccessKey=..."
_NAMES: Final = {
    "endpoint": "Endpoint",
    "sharedaccesskeyname": "SharedAccessKeyName",
    "sharedaccesskey": "SharedAccessKey",
}
_SCHEMES: Final = {"sb": "https", "https": "https", "http": "http"}


@frozen
class ConnectionString:
    """What a connection string says; ``url`` begins with https:// or, where the string says so, http://, and ends with a slash."""

    url: str
    key_name: str
    key: str = field(repr=False)


def read_connection_string(text: str) -> ConnectionString:
    """Read a connection string, its parts in any order; parts that it need not have, such as ``EntityPath``, are passed over.

    :raises InvalidArgument: it is none. The sentence shows nothing of it, since any part may be the key.
    """
    check_kind(text, "a connection string", str)
    if len(text) > MAX_CONNECTION_STRING:
        raise InvalidArgument(f"a connection string has up to {MAX_CONNECTION_STRING} characters: {_FORM}")
    found: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        if not equals:
            raise InvalidArgument(f"a part of the connection string has no '=': it is {_FORM}")
        if name in _NAMES and name in found:
            raise InvalidArgument(f"the connection string has {_NAMES[name]} twice")
        found[name] = value.strip()
    missing = [shown for name, shown in _NAMES.items() if not found.get(name)]
    if missing:
        raise InvalidArgument(f"the connection string lacks {' and '.join(missing)}: it is {_FORM}")
    key_name, key = found["sharedaccesskeyname"], found["sharedaccesskey"]
    if not (key_name.isprintable() and key.isprintable()):
        raise InvalidArgument("the connection string has a key or a name of one that cannot be printed")
    return ConnectionString(_url(found["endpoint"]), key_name, key)


def _url(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        whole = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    plain = endpoint.isascii() and endpoint.isprintable() and not set(" \\@?#") & set(endpoint)
    if not whole or not plain:
        raise InvalidArgument(
            "Endpoint of the connection string is such as sb://push.example/, with a host and no more"
        )
    return f"{_SCHEMES[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}/"


def write_connection_string(url: str, key_name: str, key: str) -> str:
    """Write a connection string in the one order that every client reads, with the slash that some need.

    :param url: that of the service. ``https://`` becomes ``sb://``; ``http://`` stays, which few clients take.
    """
    scheme, _, rest = url.partition("://")
    endpoint = f"{'sb' if scheme == 'https' else scheme}://{rest.rstrip('/')}/"
    return f"Endpoint={endpoint};SharedAccessKeyName={key_name};SharedAccessKey={key}"
