"""What a state folder keeps of a service whose state is in a database: the file ``node.json``, with nothing secret in it."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from tocsin.private_file import read_private, write_private
from tocsin.protocol.errors import InvalidArgument, StateUnavailable
from tocsin.protocol.json_text import parse_json_text

NODE_FILE: Final = "node.json"
"""Its name; the command knows by it that a folder is a node's."""

_MOST: Final = 64 * 1024  # bytes of it
_READABLE: Final = 40  # characters of a machine's name in that of a node


@frozen
class NodeFile:
    """What a node knows of its service before it asks the database."""

    service: str
    """Which service the node is one of, as the database says, too."""
    engine: str
    """What the database is called in a sentence."""
    port: int | None = None
    """The port of the last time."""
    moving: bool = False
    """Whether the folder's own service is on its way into the database, and has not wholly arrived."""
    node: str = ""
    """The node's name among the others; empty before it has run."""


def read_node(state: Path) -> NodeFile | None:
    """Return what a folder keeps of such a service; None: it keeps none.

    :raises StateUnavailable: it cannot be read, or is no file of ours.
    """
    path = state / NODE_FILE
    try:
        content = read_private(path, _MOST + 1)
        return None if content is None else _parsed(parse_json_text(content, NODE_FILE, _MOST))
    except OSError as failure:
        raise StateUnavailable(f"{path} cannot be read: {failure.strerror or failure}") from failure
    except (InvalidArgument, LookupError, TypeError, ValueError, AttributeError) as failure:
        raise StateUnavailable(f"{path} is damaged; it says which database keeps the service's state") from failure


def _parsed(fields: Mapping[str, Any]) -> NodeFile:
    port = fields["port"]
    return NodeFile(
        *(str(fields["service"]), str(fields["engine"]), None if port is None else int(port), bool(fields["moving"])),
        str(fields.get("node", "")),
    )


def name_node(host: str) -> str:
    """Make a name for a node that no other has, and that says on which machine it is."""
    readable = re.sub("[^a-z0-9]+", "-", host.lower().partition(".")[0])[:_READABLE].strip("-")
    return f"{readable or 'node'}-{secrets.token_hex(4)}"


def write_node(state: Path, node: NodeFile) -> None:
    """Keep what a folder knows of its service, in place of what it knew; it is on disk when this returns.

    :raises StateUnavailable: it cannot be written.
    """
    path = state / NODE_FILE
    try:
        write_private(path, json.dumps(asdict(node), indent=2).encode() + b"\n")
    except OSError as failure:
        raise StateUnavailable(f"{path} cannot be written: {failure.strerror or failure}") from failure


def remove_node(state: Path) -> None:
    """Have a folder know of no such service.

    :raises StateUnavailable: the file cannot be removed.
    """
    path = state / NODE_FILE
    try:
        path.unlink()
    except OSError as failure:
        raise StateUnavailable(f"{path} cannot be removed: {failure.strerror or failure}") from failure
