"""The tables of notification hubs in the service's SQLite database."""

from __future__ import annotations

from typing import Final

TABLES: Final = (
    """CREATE TABLE hubs (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, client_id TEXT, created REAL NOT NULL,
        endpoint TEXT NOT NULL
    )""",
    """CREATE TABLE hub_keys (
        hub INTEGER NOT NULL, grants TEXT NOT NULL, key TEXT NOT NULL, created REAL NOT NULL, expires REAL
    )""",
    """CREATE TABLE hub_registrations (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, hub INTEGER NOT NULL, id TEXT NOT NULL, etag INTEGER NOT NULL,
        channel BLOB NOT NULL, uri TEXT NOT NULL, tags TEXT NOT NULL, expires REAL, template TEXT, variables TEXT NOT NULL,
        tile TEXT NOT NULL, installation TEXT NOT NULL
    )""",
    "CREATE UNIQUE INDEX hub_registration_ids ON hub_registrations (hub, id)",
    "CREATE INDEX hub_registrations_of ON hub_registrations (hub)",
    "CREATE INDEX hub_registrations_for ON hub_registrations (channel)",
    "CREATE INDEX hub_registrations_until ON hub_registrations (expires) WHERE expires IS NOT NULL",
    "CREATE INDEX hub_parts ON hub_registrations (hub, installation) WHERE installation <> ''",
    """CREATE TABLE hub_tags (
        hub INTEGER NOT NULL, tag TEXT NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (hub, tag, sequence)
    ) WITHOUT ROWID""",
    # The tags of a row are a JSON array in it, and rows of their own that are looked up: no statement changes only one of both.
    """CREATE TRIGGER hub_tags_come AFTER INSERT ON hub_registrations BEGIN
        INSERT OR IGNORE INTO hub_tags SELECT new.hub, value, new.sequence FROM json_each(new.tags);
    END""",
    """CREATE TRIGGER hub_tags_go AFTER DELETE ON hub_registrations BEGIN
        DELETE FROM hub_tags WHERE hub = old.hub AND sequence = old.sequence
        AND tag IN (SELECT value FROM json_each(old.tags));
    END""",
    """CREATE TRIGGER hub_tags_change AFTER UPDATE OF tags ON hub_registrations WHEN new.tags <> old.tags BEGIN
        DELETE FROM hub_tags WHERE hub = old.hub AND sequence = old.sequence
        AND tag IN (SELECT value FROM json_each(old.tags));
        INSERT OR IGNORE INTO hub_tags SELECT new.hub, value, new.sequence FROM json_each(new.tags);
    END""",
    """CREATE TABLE hub_installations (
        hub INTEGER NOT NULL, id TEXT NOT NULL, document TEXT NOT NULL, etag INTEGER NOT NULL, expires REAL,
        PRIMARY KEY (hub, id)
    ) WITHOUT ROWID""",
    "CREATE INDEX hub_installations_until ON hub_installations (expires) WHERE expires IS NOT NULL",
    """CREATE TABLE hub_messages (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, hub INTEGER NOT NULL, phase TEXT NOT NULL,
        format TEXT NOT NULL, tags TEXT NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL, accepted REAL NOT NULL, devices TEXT NOT NULL, due REAL, began REAL,
        ended REAL, place INTEGER NOT NULL, until INTEGER, tally TEXT NOT NULL
    )""",
    "CREATE INDEX hub_messages_open ON hub_messages (phase, number) WHERE ended IS NULL",
    "CREATE INDEX hub_messages_due ON hub_messages (due) WHERE phase = 'SCHEDULED'",
    "CREATE INDEX hub_messages_ended ON hub_messages (hub, ended) WHERE ended IS NOT NULL",
    """CREATE TABLE hub_retries (
        message TEXT NOT NULL, place INTEGER NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL,
        PRIMARY KEY (message, place)
    ) WITHOUT ROWID""",
    "CREATE INDEX hub_retries_due ON hub_retries (due)",
)
