"""The registrations that an installation stands for: one for its channel, one for each template, and the same for each tile."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from attrs import evolve

from tocsin.protocol.hub.descriptions import BodyTemplate, Installation, RegistrationDescription
from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.tag_rules import check_tag, installation_tag, user_tag


def parts_of(installation: Installation, etag: int = 1) -> list[RegistrationDescription]:
    """Return the registrations that an installation stands for, always with the same ids; none for a channel that has expired.

    Each has the tags of the installation and the special tags of its id and its user; that of a tile those of the tile, too, and
    that of a template the template's own and its name, by which senders choose it.
    """
    special = [installation_tag(installation.id), *([user_tag(installation.user_id)] if installation.user_id else [])]
    native = RegistrationDescription(
        id=_id(installation.id, "", None),
        channel_uri=installation.channel_uri,
        tags=(*installation.tags, *special),
        etag=etag,
        expires=installation.expires,
        variables=installation.variables,
        installation=installation.id,
    )
    parts = [] if installation.expired else [*_parts(native, installation.templates)]
    for name, tile in installation.tiles.items():
        if not tile.expired:
            own = evolve(
                native,
                id=_id(installation.id, name, None),
                channel_uri=tile.channel_uri,
                tags=_each_once(*installation.tags, *tile.tags, *special),
                secondary_tile=name,
            )
            parts += _parts(own, tile.templates)
    return parts


def _parts(native: RegistrationDescription, templates: tuple[BodyTemplate, ...]) -> Iterator[RegistrationDescription]:
    yield native
    for template in templates:
        yield evolve(
            native,
            id=_id(native.installation, native.secondary_tile, template.name),
            tags=_each_once(*native.tags, *template.tags, *_name_tag(template.name)),
            template=template,
        )


def _each_once(*tags: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))


def _id(installation: str, tile: str, template: str | None) -> str:
    """Return the id of a part: such as a hub makes none for a registration that stands for itself."""
    names = (installation, tile, *(() if template is None else (template,)))
    whole = "".join(f"{len(name)}:{name}" for name in names)
    return f"installation-{hashlib.sha256(whole.encode()).hexdigest()[:32]}"


def _name_tag(template: str) -> tuple[str, ...]:
    """Return the name of a template as its tag; nothing where it cannot be one."""
    try:
        return (check_tag(template),)
    except HubRefused:
        return ()
