"""Registrations, channels and messages of hubs as rows of SQLite."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attrs import asdict

from tocsin.protocol.hub.descriptions import BodyTemplate, RegistrationDescription
from tocsin.protocol.hub.hub_outcomes import Tally
from tocsin.protocol.hub.message_life import Phase
from tocsin.protocol.hub.rights import Right
from tocsin.service.registry.hub_store import HubKeyRow, MessageRow, channel_of
from tocsin.service.registry.service_store import ChannelRow


def key_from_row(row: Sequence[Any]) -> HubKeyRow:
    """Read a key of a hub."""
    hub, right, key, created, expires = row
    return HubKeyRow(hub, Right(right), key, created, expires)


def registration_to_row(hub: int, registration: RegistrationDescription) -> tuple[Any, ...]:
    """Return a registration as it is kept, with its hub."""
    template = registration.template
    return (
        *(
            hub,
            registration.id,
            registration.etag,
            channel_of(registration.channel_uri) or b"",
            registration.channel_uri,
        ),
        *(json.dumps(registration.tags), registration.expires),
        None if template is None else json.dumps(asdict(template)),
        *(json.dumps(registration.variables), registration.secondary_tile, registration.installation),
    )


def registration_from_row(row: tuple[Any, ...]) -> RegistrationDescription:
    """Read a registration, behind its sequence number."""
    _, id_, etag, uri, tags, expires, template, variables, tile, installation = row[:10]
    return RegistrationDescription(
        *(
            id_,
            uri,
            tuple(json.loads(tags)),
            etag,
            expires,
            None if template is None else _template(json.loads(template)),
        ),
        *(
            () if variables == "[]" else tuple((name, value) for name, value in json.loads(variables)),
            tile,
            installation,
        ),
    )


def _template(fields: dict[str, Any]) -> BodyTemplate:
    headers = tuple((name, value) for name, value in fields["headers"])
    return BodyTemplate(fields["name"], fields["body"], headers, tuple(fields["tags"]))


def channel_from_row(row: tuple[Any, ...]) -> ChannelRow | None:
    """Read a channel; None where none is kept."""
    if row[0] is None:
        return None
    hash_, name, client_id, app, device, expires, revoked = row
    return ChannelRow(hash_, name, client_id, app, device, expires, revoked=bool(revoked))


def tally_to_text(tally: Tally) -> str:
    """Return a tally as it is kept."""
    return json.dumps([*tally.rows()])


def message_from_row(row: tuple[Any, ...]) -> MessageRow:
    """Read a message."""
    number, id_, hub, phase, format_, tags, headers, body, accepted, devices, *further, tally = row
    due, began, ended, place, until = further
    return MessageRow(
        *(number, id_, hub, Phase[phase], format_, tags),
        tuple((name, value) for name, value in json.loads(headers)),
        *(body, accepted, tuple(json.loads(devices))),
        *(due, began, ended, place, until),
        Tally.read(json.loads(tally)),
    )
