"""What the installations of a hub are told in PostgreSQL when a channel of theirs has ended."""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import partial
from typing import Any

from tocsin.persistence.postgres_statements import Link, Procedure
from tocsin.persistence.postgres_text import from_kept, to_kept


def end_channels(ended: str, value: Any) -> Procedure:
    """Return what tells installations that a channel of theirs has ended: their own, or those of tiles.

    :param ended: which registrations ``d`` name such a channel, with ``value`` as its parameter.
    """
    return Procedure(partial(_mark_ended, ended, value))


async def _mark_ended(ended: str, value: Any, link: Link) -> None:
    # The documents are read and written here: as json of PostgreSQL they may not have every text, as jsonb not every order.
    rows = await link.fetch(
        f"""SELECT i.hub, i.id, i.document, ARRAY(
            SELECT uri FROM hub_registrations d WHERE d.hub = i.hub AND d.installation = i.id AND {ended}
        ) FROM hub_installations i WHERE (hub, id) IN (
            SELECT hub, installation FROM hub_registrations d WHERE installation <> '' AND {ended}
        ) ORDER BY hub, id FOR UPDATE""",
        value,
    )
    for hub, id_, document, uris in map(from_kept, rows):
        told = json.loads(document)
        tiles = told.get("secondaryTiles") or {}
        changed = [each for each in (told, *tiles.values()) if _has_ended(each, uris)]
        for each in changed:
            each["pushChannelExpired"] = True
        if changed:
            await link.execute(
                "UPDATE hub_installations SET etag = etag + 1, document = $3 WHERE hub = $1 AND id = $2",
                *(hub, to_kept(id_), to_kept(json.dumps(told))),
            )


def _has_ended(channel: dict[str, Any], gone: Collection[str]) -> bool:
    return channel.get("pushChannel") in gone and not channel.get("pushChannelExpired")
