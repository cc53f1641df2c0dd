"""An installation as JSON: read of what clients put, and written as they get it.

Names of members are read in any case, as the real hub's library does; members that are not known are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from tocsin.protocol.hub.channel_uri import check_channel_uri
from tocsin.protocol.hub.descriptions import BodyTemplate, Installation, SecondaryTile
from tocsin.protocol.hub.hub_json import MAX_JSON, parse_json
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.tag_rules import check_tags, installation_tag, user_tag
from tocsin.protocol.hub.template import read_template
from tocsin.protocol.hub.w3c_time import NEVER, read_time, write_time
from tocsin.protocol.text import quoted

PLATFORM: Final = "wns"
"""The only platform whose channels are served."""

MAX_NAME: Final = 120
"""Characters of the name of a template, a header, a variable or a tile at most."""

MAX_ENTRIES: Final = 60
"""Templates, headers, variables or tiles in one place at most."""

MAX_TEMPLATES: Final = 100
"""Templates of an installation with those of its tiles at most, since each is a registration of its own."""


def read_installation(body: bytes | str, id: str) -> Installation:  # noqa: A002  # the field's name
    """Read an installation that a client puts.

    :param id: what the path says; the document may leave it out, but not contradict it.
    :raises HubRefused: 400 or 413; the sentence says what is wrong, and what would be right.
    """
    return installation_of(parse_json(body, "The installation"), id)


def restore_installation(document: str) -> Installation:
    """Read an installation that :func:`write_installation` has written: which of its channels have expired counts, too.

    :raises HubRefused: it has not.
    """
    members = _members(parse_json(document, "The installation"), "The installation")
    installation = installation_of(members, _text(members.get("installationid"), "installationId"))
    tiles = {
        name: evolve(
            tile, expired=_members(members["secondarytiles"][name], "a tile").get("pushchannelexpired") is True
        )
        for name, tile in installation.tiles.items()
    }
    return evolve(installation, expired=members.get("pushchannelexpired") is True, tiles=tiles)


def write_installation(installation: Installation) -> str:
    """Write an installation as JSON, as clients get it."""
    return json.dumps(document_of(installation), ensure_ascii=False, separators=(",", ":"))


def document_of(installation: Installation) -> dict[str, Any]:
    """Return an installation as the objects, lists and texts that its JSON has; they are the caller's to change."""
    return {
        "installationId": installation.id,
        **({"userId": installation.user_id} if installation.user_id else {}),
        "platform": PLATFORM,
        "pushChannel": installation.channel_uri,
        "pushChannelExpired": installation.expired,
        "expirationTime": write_time(installation.expires),
        **_optional("tags", list(installation.tags)),
        **_optional("pushVariables", dict(installation.variables)),
        **_optional("templates", _templates_document(installation.templates)),
        **_optional(
            "secondaryTiles",
            {
                name: {
                    "pushChannel": tile.channel_uri,
                    "pushChannelExpired": tile.expired,
                    **_optional("tags", list(tile.tags)),
                    **_optional("templates", _templates_document(tile.templates)),
                }
                for name, tile in installation.tiles.items()
            },
        ),
    }


def installation_of(document: object, id: str) -> Installation:  # noqa: A002  # the field's name
    """Read an installation of what its JSON has; whether a channel has expired is not for clients to say.

    :raises HubRefused: 400; the sentence says what is wrong, and what would be right.
    """
    members = _members(document, "The installation")
    named = _text(members.get("installationid"), "installationId", default=id)
    if named != id:
        raise HubRefused(
            HubReason.WRONG_INSTALLATION,
            f"installationId is {quoted(named)}, but the path names {quoted(id)}: they must be the same.",
        )
    installation_tag(_printable(id, "An installation's id"))
    platform = _text(members.get("platform"), "platform", default="")
    if platform.lower() != PLATFORM:
        raise HubRefused(
            HubReason.WRONG_INSTALLATION,
            f'platform must be "{PLATFORM}", the only one that this hub sends to, not {quoted(platform)}.',
        )
    user_id = _text(members.get("userid"), "userId", default="")
    if user_id:
        user_tag(_printable(user_id, "userId"))
    installation = Installation(
        id=id,
        channel_uri=_channel(members.get("pushchannel"), "pushChannel"),
        user_id=user_id,
        tags=_tags(members.get("tags"), "tags"),
        expires=_expires(members.get("expirationtime")),
        variables=_texts(members.get("pushvariables"), "pushVariables"),
        templates=_templates(members.get("templates"), "templates"),
        tiles={
            name: _tile(tile, f"secondaryTiles/{name}")
            for name, tile in _entries(members.get("secondarytiles"), "secondaryTiles").items()
        },
    )
    count = len(installation.templates) + sum(len(tile.templates) for tile in installation.tiles.values())
    if count > MAX_TEMPLATES:
        raise HubRefused(
            HubReason.WRONG_INSTALLATION,
            f"An installation has {MAX_TEMPLATES} templates at most, those of its tiles included, not {count}.",
        )
    if len(write_installation(installation).encode()) > MAX_JSON:  # after a patch: what is kept must be readable again
        raise HubRefused(HubReason.WRONG_INSTALLATION, f"An installation has {MAX_JSON} bytes at most.")
    return installation


def _optional(name: str, value: list[str] | dict[str, Any]) -> dict[str, Any]:
    return {name: value} if value else {}


def _templates_document(templates: tuple[BodyTemplate, ...]) -> dict[str, Any]:
    return {
        template.name: {
            "body": template.body,
            "headers": dict(template.headers),
            **_optional("tags", list(template.tags)),
        }
        for template in templates
    }


def _tile(value: object, where: str) -> SecondaryTile:
    members = _members(value, where)
    return SecondaryTile(
        _channel(members.get("pushchannel"), f"{where}/pushChannel"),
        _tags(members.get("tags"), f"{where}/tags"),
        _templates(members.get("templates"), f"{where}/templates"),
    )


def _templates(value: object, where: str) -> tuple[BodyTemplate, ...]:
    return tuple(_template(name, template, f"{where}/{name}") for name, template in _entries(value, where).items())


def _template(name: str, value: object, where: str) -> BodyTemplate:
    members = _members(value, where)
    body = _text(members.get("body"), f"{where}/body")
    headers = _texts(members.get("headers"), f"{where}/headers")
    try:
        read_template(body, headers)
    except HubRefused as refused:
        raise HubRefused(refused.reason, f"In {_shown(where)}: {refused.detail}") from None
    return BodyTemplate(name, body, headers, _tags(members.get("tags"), f"{where}/tags"))


def _members(value: object, where: str) -> dict[str, Any]:
    """Return the members of an object by their lower-cased names.

    :raises HubRefused: it is no object, or has two names that differ in case only.
    """
    if not isinstance(value, dict):
        raise HubRefused(HubReason.WRONG_INSTALLATION, f"{_shown(where)} must be a JSON object, not {_kind(value)}.")
    members = {name.lower(): member for name, member in value.items()}
    if len(members) < len(value):
        raise HubRefused(
            HubReason.WRONG_INSTALLATION, f"{_shown(where)} has two members whose names differ in case only."
        )
    return members


def _entries(value: object, where: str) -> Mapping[str, Any]:
    """Return what an object has under names of the client's own, none where it is not there."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise HubRefused(HubReason.WRONG_INSTALLATION, f"{_shown(where)} must be a JSON object, not {_kind(value)}.")
    if len(value) > MAX_ENTRIES:
        raise HubRefused(
            HubReason.WRONG_INSTALLATION, f"{_shown(where)} has {len(value)} entries; {MAX_ENTRIES} are allowed."
        )
    for name in value:
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            raise HubRefused(
                HubReason.WRONG_INSTALLATION,
                f"names in {_shown(where)} have 1 to {MAX_NAME} printable characters, not {quoted(name)}.",
            )
    return value


def _texts(value: object, where: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, _text(text, f"{where}/{name}")) for name, text in _entries(value, where).items())


def _tags(value: object, where: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise HubRefused(
            HubReason.WRONG_INSTALLATION, f'{_shown(where)} must be a list such as ["a", "b"], not {_kind(value)}.'
        )
    return check_tags([_text(tag, where) for tag in value])


def _channel(value: object, where: str) -> str:
    return check_channel_uri(_text(value, where), _shown(where))


def _expires(value: object) -> float | None:
    text = _text(value, "expirationTime", default=NEVER)
    try:
        return read_time(text)
    except ValueError:
        raise HubRefused(
            HubReason.WRONG_INSTALLATION,
            f"expirationTime must be a time such as 2030-01-31T12:00:00Z, not {quoted(text)}.",
        ) from None


def _text(value: object, where: str, *, default: str | None = None) -> str:
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise HubRefused(HubReason.WRONG_INSTALLATION, f"{_shown(where)} must be a text, not {_kind(value)}.")
    return value


def _printable(value: str, what: str) -> str:
    if not value.isprintable():
        raise HubRefused(HubReason.WRONG_INSTALLATION, f"{what} has printable characters only, unlike {quoted(value)}.")
    return value


def _shown(where: str) -> str:
    """Return a place in the document as a sentence may show it: a client has chosen the names in it."""
    return where if where.isprintable() and len(where) <= 2 * MAX_NAME else quoted(where)


def _kind(value: object) -> str:
    """Name the kind of a JSON value."""
    if value is None:
        return "null"
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return kinds[type(value)]
