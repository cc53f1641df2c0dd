"""What a client changes of an installation: a JSON Patch (RFC 6902) as hubs have it.

There is ``add``, ``replace`` and ``remove``. What is different from the RFC: tags are a set, to which ``add`` on ``tags`` adds one
or a list of them, and of which one is removed by its own name; and a value that has to be an object or a list may be a text
with its JSON, since the values of some clients can only be texts. The result is checked as if it had been put, so that either
all of it is done or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from attrs import Factory, evolve, field, frozen

from tocsin.protocol.hub.descriptions import Installation, SecondaryTile
from tocsin.protocol.hub.hub_json import parse_json
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.installation_json import document_of, installation_of
from tocsin.protocol.text import quoted

MAX_OPERATIONS: Final = 100
"""Operations of a patch at most."""

MAX_POINTER: Final = 1_024
"""Characters of a path at most."""

_OPERATIONS: Final = frozenset({"add", "replace", "remove"})
_ESCAPE: Final = re.compile("~(.?)", re.DOTALL)
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,4}")


@frozen
class _Text:
    """A place with a text."""


@frozen
class _Tags:
    """A place with tags."""


@frozen
class _Named:
    """A place with entries that have names of the client's own."""

    each: _Place


@frozen
class _Record:
    """A place with members that have names of ours."""

    members: Mapping[str, _Place] = field(default=Factory(dict))

    def find(self, step: str) -> str | None:
        """Return the name of the member that a step means, in any case; None where there is none."""
        return next((name for name in self.members if name.lower() == step.lower()), None)


_Place: TypeAlias = _Text | _Tags | _Named | _Record

_TEMPLATES: Final = _Named(_Record({"body": _Text(), "headers": _Named(_Text()), "tags": _Tags()}))
_INSTALLATION: Final = _Record(
    {
        "pushChannel": _Text(),
        "userId": _Text(),
        "expirationTime": _Text(),
        "tags": _Tags(),
        "pushVariables": _Named(_Text()),
        "templates": _TEMPLATES,
        "secondaryTiles": _Named(_Record({"pushChannel": _Text(), "tags": _Tags(), "templates": _TEMPLATES})),
    }
)


@frozen
class _Operation:
    """One operation; ``steps`` lead to its place."""

    verb: str
    path: str
    steps: tuple[str, ...]
    value: Any


def patch_installation(installation: Installation, body: bytes) -> Installation:
    """Return an installation as a patch leaves it; a channel that it does not change is as expired as it was.

    :param body: the JSON of up to ``MAX_OPERATIONS`` operations.
    :raises HubRefused: 400 or 413, and nothing is changed: it is no such patch, or what it would lead to is no installation.
    """
    document = document_of(installation)
    for operation in _read(body):
        _apply(operation, document, _INSTALLATION)
    patched = installation_of(document, installation.id)
    tiles = {name: _still_expired(tile, installation.tiles.get(name)) for name, tile in patched.tiles.items()}
    expired = installation.expired and patched.channel_uri == installation.channel_uri
    return evolve(patched, expired=expired, tiles=tiles)


def _still_expired(tile: SecondaryTile, before: SecondaryTile | None) -> SecondaryTile:
    return evolve(tile, expired=before is not None and before.expired and tile.channel_uri == before.channel_uri)


def _read(body: bytes) -> list[_Operation]:
    patch = parse_json(body, "The patch")
    if not isinstance(patch, list) or not patch:
        raise HubRefused(
            HubReason.WRONG_INSTALLATION,
            'A patch is a JSON list of operations such as [{"op": "add", "path": "/tags", "value": "news"}].',
        )
    if len(patch) > MAX_OPERATIONS:
        raise HubRefused(
            HubReason.WRONG_INSTALLATION, f"The patch has {len(patch)} operations; {MAX_OPERATIONS} are read at most."
        )
    return [_operation(each) for each in patch]


def _operation(each: object) -> _Operation:
    if not isinstance(each, dict):
        raise HubRefused(
            HubReason.WRONG_INSTALLATION,
            "Each operation of a patch is a JSON object with op, path and, unless it removes, value.",
        )
    verb, path = each.get("op"), each.get("path")
    if not isinstance(verb, str) or verb.lower() not in _OPERATIONS:
        raise HubRefused(
            HubReason.WRONG_INSTALLATION, f"The op of a patch is add, replace or remove, not {quoted(verb)}."
        )
    if not isinstance(path, str) or not path.startswith("/") or len(path) > MAX_POINTER:
        raise HubRefused(
            HubReason.WRONG_INSTALLATION,
            f"The path of an operation begins with /, as /tags does, unlike {quoted(path)}.",
        )
    if verb.lower() != "remove" and "value" not in each:
        raise HubRefused(
            HubReason.WRONG_INSTALLATION,
            f"An operation that is {verb.lower()} has a value, which that on {quoted(path)} has not.",
        )
    return _Operation(
        verb.lower(), path, tuple(_unescaped(step, path) for step in path[1:].split("/")), each.get("value")
    )


def _unescaped(step: str, path: str) -> str:
    for escape in _ESCAPE.finditer(step):
        if escape[1] not in {"0", "1"}:
            raise HubRefused(
                HubReason.WRONG_INSTALLATION,
                f"A ~ in a path is written ~0 and a / in a name ~1, unlike in {quoted(path)}.",
            )
    return step.replace("~1", "/").replace("~0", "~")


def _apply(operation: _Operation, document: dict[str, Any], place: _Place) -> None:
    """Do one operation, which leads no deeper than the document goes."""
    for depth, step in enumerate(operation.steps, 1):
        key, inner = _step(operation, step, document, place)
        rest = operation.steps[depth:]
        if isinstance(inner, _Tags):
            _apply_to_tags(operation, document, key, rest)
            return
        if not rest:
            _apply_to_member(operation, document, key, inner)
            return
        if isinstance(inner, _Text):
            break
        if key not in document and isinstance(inner, _Named) and operation.verb == "add" and len(rest) == 1:
            document[key] = {}  # for its first entry
        if key not in document:
            raise _absent(operation)
        document, place = document[key], inner
        if not isinstance(document, dict):  # an operation before has put something else there
            break
    raise _outside(operation)


def _step(operation: _Operation, step: str, document: dict[str, Any], place: _Place) -> tuple[str, _Place]:
    """Return the name under which a step leads on in the document, and the place that it leads to."""
    if isinstance(place, _Named):
        return step, place.each
    if not isinstance(place, _Record):
        raise _outside(operation)
    found = place.find(step)
    if found is None:
        raise _outside(operation)
    return next((name for name in document if name.lower() == found.lower()), found), place.members[found]


def _apply_to_member(operation: _Operation, document: dict[str, Any], key: str, place: _Place) -> None:
    if operation.verb != "add" and key not in document and not (place == _Text() and operation.verb == "replace"):
        raise _absent(operation)
    if operation.verb == "remove":
        del document[key]
        return
    value = operation.value
    document[key] = value if isinstance(place, _Text) else _unpacked(operation, value)


def _apply_to_tags(operation: _Operation, document: dict[str, Any], key: str, rest: tuple[str, ...]) -> None:
    """Change a set of tags as a whole, or one of them, which its name or its number in the list means."""
    if len(rest) > 1:
        raise _outside(operation)
    there = document.get(key, [])
    if not isinstance(there, list):  # an operation before has put something else there
        raise _outside(operation)
    if not rest:
        if operation.verb == "remove" and key not in document:
            raise _absent(operation)
        document[key] = [] if operation.verb != "add" else there
        if operation.verb != "remove":
            document[key] = [*document[key], *_tags_of(operation)]
    elif operation.verb == "add":
        document[key] = _with_tag(operation, there, rest[0])
    else:
        place = _place_of(operation, there, rest[0])
        document[key] = [
            *there[:place],
            *(_tags_of(operation) if operation.verb == "replace" else []),
            *there[place + 1 :],
        ]
    if not document[key]:
        del document[key]


def _with_tag(operation: _Operation, tags: list[Any], step: str) -> list[Any]:
    if step == "-":
        place = len(tags)
    elif _INDEX.fullmatch(step) and int(step) <= len(tags):
        place = int(step)
    else:
        raise _outside(operation)
    return [*tags[:place], *_tags_of(operation), *tags[place:]]


def _place_of(operation: _Operation, tags: list[Any], step: str) -> int:
    if step in tags:
        return tags.index(step)
    if _INDEX.fullmatch(step) and int(step) < len(tags):
        return int(step)
    raise _absent(operation)


def _tags_of(operation: _Operation) -> list[Any]:
    """Return the tags that a value is: a text is one, unless it is the JSON of a list."""
    value = operation.value
    if isinstance(value, str) and not value.lstrip().startswith("["):  # with which no tag begins
        return [value]
    value = _unpacked(operation, value)
    if not isinstance(value, list):
        raise HubRefused(
            HubReason.WRONG_INSTALLATION,
            f'The value for {quoted(operation.path)} is a tag, or a list of them such as ["a", "b"].',
        )
    return value


def _unpacked(operation: _Operation, value: Any) -> Any:
    """Return a value that is no text; a text is taken for the JSON of one."""
    return parse_json(value, f"The value for {quoted(operation.path)}") if isinstance(value, str) else value


def _absent(operation: _Operation) -> HubRefused:
    return HubRefused(
        HubReason.WRONG_INSTALLATION,
        f"There is nothing at {quoted(operation.path)} to {operation.verb}: with the op add, what is there is replaced.",
    )


def _outside(operation: _Operation) -> HubRefused:
    return HubRefused(
        HubReason.WRONG_INSTALLATION,
        f"The path {quoted(operation.path)} leads out of what can be changed: that is /pushChannel, /userId, /expirationTime,"
        " /tags, /pushVariables/{name}, /templates/{name} with its /body, /headers and /tags, and /secondaryTiles/{id}"
        " with its /pushChannel, /tags and /templates.",
    )
