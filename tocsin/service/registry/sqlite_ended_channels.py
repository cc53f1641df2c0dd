"""What tells installations that channels of theirs have ended, in the service's SQLite database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tocsin.persistence.sqlite_connection import Statement


def end_channels(ended: str, values: Sequence[Any]) -> tuple[Statement, Statement]:
    """Return what tells installations that a channel of theirs has ended: their own, or those of tiles.

    :param ended: which registrations ``d`` name such a channel, with one parameter; ``values`` are its values.
    """
    parts = "SELECT uri FROM hub_registrations d WHERE d.hub = hub_installations.hub AND d.installation = hub_installations.id"
    gone = f"json_extract({{0}}, '$.pushChannel') IN ({parts} AND {ended}) AND NOT json_extract({{0}}, '$.pushChannelExpired')"
    of_any = f"(hub, id) IN (SELECT hub, installation FROM hub_registrations d WHERE installation <> '' AND {ended})"
    own, tile = gone.format("document"), gone.format("value")
    return (
        (
            f"""UPDATE hub_installations SET etag = etag + 1,
            document = json_set(document, '$.pushChannelExpired', json('true')) WHERE {of_any} AND {own}""",
            [(value,) * 2 for value in values],
        ),
        (
            f"""UPDATE hub_installations SET etag = etag + 1, document = json_set(document, '$.secondaryTiles', (
                SELECT json_group_object(key, json(
                    CASE WHEN {tile} THEN json_set(value, '$.pushChannelExpired', json('true')) ELSE value END
                )) FROM json_each(document, '$.secondaryTiles')
            )) WHERE {of_any} AND EXISTS (SELECT 1 FROM json_each(document, '$.secondaryTiles') WHERE {tile})""",
            [(value,) * 3 for value in values],
        ),
    )
