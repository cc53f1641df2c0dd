"""The statements by which PostgreSQL keeps what nodes share; each is one transaction of READ COMMITTED by itself.

What decides a race is always a row's lock. A lease is over once its row says so, in ``ended``: who finds by the clock that it is over
marks it first, and passes over one whose row is locked, since that is being renewed. So a lease that a change took for over is never
renewed; and one that it took for good has a wake, which is there for each renewal that counts from a later moment. A device's row is
written only if its version is what the statement has read: then all wakes that were left with earlier versions were there to be read too.
"""

from __future__ import annotations

from typing import Final

from tocsin.service.registry.postgres_tables import ENTRY, ENTRY_KINDS, arrays

GOOD: Final = "NOT ended AND granted <= clock_timestamp() AND clock_timestamp() < until"
_OVER: Final = """UPDATE nodes SET ended = true WHERE number IN (
        SELECT number FROM nodes WHERE NOT ended AND NOT (granted <= clock_timestamp() AND clock_timestamp() < until) AND {other}
        FOR NO KEY UPDATE SKIP LOCKED
    ) RETURNING number"""
_LEASE: Final = (
    "number, node, run, address, version, extract(epoch FROM granted)::double precision AS granted,"
    " extract(epoch FROM until)::double precision AS until, draining"
)

# What was asked for a device, by the function of device_row.py.
CHANGE, CONNECT, RECLAIM, CLEAR = range(4)

# What has become of it.
FENCED, MOVED, WRITTEN, RACED = range(4)

# What a row of leases tells: the one that was given, another that is good, or the one that is there instead.
GIVEN, OTHER, INSTEAD = range(3)


_ENTRIES: Final = f"unnest({arrays(8, 'integer', *ENTRY_KINDS, 'bytea')}) AS e(place, {ENTRY}, body)"
_ERASED: Final = f"unnest({arrays(9 + len(ENTRY_KINDS) + 1, 'integer', 'bigint')}) AS e(place, sequence)"

WRITE: Final = f"""WITH over AS (
    {_OVER.format(other="true")}
), good AS MATERIALIZED (
    SELECT number FROM nodes WHERE NOT ended AND number NOT IN (SELECT number FROM over)
), asked AS (
    SELECT a.*, d.device IS NULL AS is_new, coalesce(d.version, 0) AS seen, d.lease, d.epoch,
        a.by IN (SELECT number FROM good) AS may, coalesce(d.lease IN (SELECT number FROM good), false) AS is_held,
        coalesce((a.place, d.lease, d.epoch) IN (SELECT * FROM unnest({arrays(5, "bigint", "bigint", "bigint")})), false) AS is_named
    FROM unnest({arrays(1, "text", "bigint", "integer", "bigint")}) WITH ORDINALITY AS a(device, by, kind, decided_from, place)
    LEFT JOIN devices d ON d.device = a.device
), decided AS MATERIALIZED (
    SELECT place, device, is_new, seen, nextval('versions') AS drawn, by, kind, lease, epoch,
        kind IN ({CONNECT}, {RECLAIM}) AS is_claim, kind = {CHANGE} AND is_held AND NOT is_named AS is_kept, is_held,
        CASE
            WHEN NOT may THEN {FENCED}
            WHEN kind = {CHANGE} AND decided_from <> seen THEN {MOVED}
            WHEN kind = {RECLAIM} AND is_held AND NOT is_named THEN {MOVED}
            WHEN kind = {CLEAR} AND NOT is_named THEN {MOVED}
            ELSE {WRITTEN}
        END AS came_to
    FROM asked
), chosen AS MATERIALIZED (
    SELECT place, device, is_new, seen, drawn,
        CASE WHEN is_claim THEN by WHEN is_kept THEN lease END AS lease,
        CASE WHEN is_claim THEN drawn WHEN is_kept THEN epoch END AS epoch,
        CASE WHEN is_claim AND is_held OR is_kept AND lease <> by THEN lease END AS wake,
        EXISTS (SELECT FROM good g JOIN wakes w ON w.lease = g.number AND w.device = decided.device WHERE g.number <> by) AS unread
    FROM decided WHERE came_to = {WRITTEN}
), updated AS (
    UPDATE devices d SET version = c.drawn, lease = c.lease, epoch = c.epoch
    FROM chosen c WHERE NOT c.is_new AND d.device = c.device AND d.version = c.seen RETURNING d.version
), inserted AS (
    INSERT INTO devices SELECT device, drawn, lease, epoch FROM chosen WHERE is_new ON CONFLICT DO NOTHING RETURNING version
), written AS MATERIALIZED (
    SELECT * FROM chosen WHERE (drawn IN (SELECT version FROM updated UNION ALL SELECT version FROM inserted)) IS TRUE
), woken AS (
    INSERT INTO wakes SELECT wake, device, drawn FROM written WHERE wake IS NOT NULL
    ON CONFLICT (lease, device) DO UPDATE SET version = excluded.version
), added AS (
    INSERT INTO stored ({ENTRY}, body, device) SELECT e.{ENTRY.replace(", ", ", e.")}, e.body, w.device
    FROM {_ENTRIES} JOIN written w ON w.place = e.place
), erased AS (
    DELETE FROM stored WHERE sequence IN (SELECT e.sequence FROM {_ERASED} JOIN written w ON w.place = e.place)
) SELECT d.place, CASE
        WHEN d.came_to <> {WRITTEN} OR w.place IS NOT NULL THEN d.came_to WHEN d.kind = {CHANGE} THEN {MOVED} ELSE {RACED}
    END, w.drawn, w.lease, w.epoch, w.wake, w.wake IS NOT NULL OR w.unread
FROM decided d LEFT JOIN written w ON w.place = d.place"""  # noqa: S608 - constants
"""Changes devices' rows, and what is stored for them.

Its first arrays have a value for each device; the next name homes of some of them: what was there, for ``RECLAIM`` and ``CLEAR``, and what
is denied, for ``CHANGE``. What is stored and erased names its device by its place.
"""

LOOK: Final = f"""SELECT a.place, d.version, d.lease, d.epoch,
    n.number, n.node, n.run, n.address, n.version, n.granted, n.until, n.draining, s.{ENTRY.replace(", ", ", s.")}
FROM unnest($1::text[]) WITH ORDINALITY AS a(device, place)
LEFT JOIN devices d ON d.device = a.device
LEFT JOIN (SELECT {_LEASE} FROM nodes WHERE {GOOD}) n ON n.number = d.lease
LEFT JOIN stored s ON s.device = a.device
ORDER BY a.place, s.sequence"""  # noqa: S608 - constants
"""Reads devices."""

LOCK: Final = (
    """INSERT INTO devices AS d VALUES ($1, 0) ON CONFLICT (device) DO UPDATE SET version = d.version WHERE false"""
)
"""Locks the row of a device, also of one that has none."""

_UNUSED: Final = f"""(lease IS NULL OR lease NOT IN (SELECT number FROM nodes WHERE {GOOD}))
    AND NOT EXISTS (SELECT FROM stored s WHERE s.device = d.device) AND NOT EXISTS (SELECT FROM channels c WHERE c.device = d.device)"""  # noqa: S608 - constants

NEXT: Final = "SELECT max(device) FROM (SELECT device FROM devices WHERE device > $1 ORDER BY device LIMIT $2) page"
"""Finds the last of so many devices behind one: a look at all of a million would hold up posts for seconds."""

LOCK_UNUSED: Final = f"""SELECT device FROM devices d WHERE device > $1 AND device <= $2 AND {_UNUSED}
FOR UPDATE SKIP LOCKED"""  # noqa: S608 - constants
"""Locks rows of devices of which nothing is kept; where one is being changed, it is left alone."""

FORGET: Final = f"DELETE FROM devices d WHERE device = ANY($1::text[]) AND {_UNUSED}"  # noqa: S608 - constants
"""Erases those of these that are so still: what was written until they were locked is seen by another statement only."""

TRIAL: Final = f"""WITH device AS (
    INSERT INTO devices VALUES ('trial ' || gen_random_uuid(), 0) RETURNING device
) INSERT INTO stored ({ENTRY}, body, device)
SELECT -1 - (random() * 9e15)::bigint, '', '', '', '', '', '', 0, 0, NULL, 0, false, decode(repeat('00', 1800), 'hex'), device
FROM device, generate_series(1, 8)"""  # noqa: S608 - constants
"""Tells whether there is room for a device and what is stored for it: two pages more than have nothing on them; it is to be rolled back."""

BLOCK: Final = "SELECT nextval('blocks')"

_SAME: Final = "n.number > $5 AND n.run = $2 AND NOT n.ended AND n.granted <= now() AND now() < n.until"
_LENGTH: Final = "make_interval(secs => {})"

# Others, as they are while this statement gives a lease; the row that this one replaces is not among them.
_OTHERS: Final = "FROM nodes, given WHERE NOT nodes.ended AND nodes.node <> given.node AND nodes.number NOT IN (SELECT number FROM over)"
_TOLD: Final = f"""SELECT {GIVEN}, {{lease}}, {{wakes}}, NOT EXISTS (SELECT {{others}} AND nodes.number < given.number) FROM given
UNION ALL SELECT {OTHER}, {{other_lease}}, NULL, NULL, NULL {{others}} AND nodes.granted <= clock_timestamp() AND clock_timestamp() < nodes.until"""  # noqa: S608 - constants


def _told(known: str) -> str:
    """Return what selects a lease that was given with its wakes, and the others; ``known`` is a condition of wakes that were read."""
    other = ", ".join(
        f"extract(epoch FROM nodes.{name})::double precision" if name in {"granted", "until"} else f"nodes.{name}"
        for name in ("number", "node", "run", "address", "version", "granted", "until", "draining")
    )
    wakes = ", ".join(
        f"ARRAY(SELECT {what} FROM wakes w WHERE w.lease = given.number {known} ORDER BY w.device)"  # noqa: S608 - constants
        for what in ("w.device", "w.version")
    )
    return _TOLD.format(lease=_LEASE, wakes=wakes, others=_OTHERS, other_lease=other)


JOIN: Final = f"""WITH over AS (
    {_OVER.format(other="node <> $1")}
), given AS (
    INSERT INTO nodes AS n VALUES (
        $1, nextval('leases'), $2, $3, $4, now(), now() + {_LENGTH.format("$6::double precision")}, false, false
    ) ON CONFLICT (node) DO UPDATE SET
        number = CASE WHEN {_SAME} THEN n.number ELSE nextval('leases') END, run = excluded.run,
        address = CASE WHEN {_SAME} THEN n.address ELSE excluded.address END,
        version = CASE WHEN {_SAME} THEN n.version ELSE excluded.version END,
        granted = CASE WHEN {_SAME} THEN greatest(n.granted, excluded.granted) ELSE excluded.granted END,
        until = CASE WHEN {_SAME} THEN greatest(n.until, excluded.until) ELSE excluded.until END,
        draining = n.draining AND {_SAME}, ended = false
    WHERE NOT (n.number > $5 AND n.run <> $2 AND $5::bigint > 0)
    RETURNING *
), forgotten AS (
    DELETE FROM wakes WHERE (lease, device) IN (
        SELECT lease, device FROM wakes WHERE lease NOT IN (SELECT number FROM nodes WHERE NOT ended) FOR UPDATE SKIP LOCKED
    )
), unused AS (
    DELETE FROM nodes WHERE ended AND until < now() - interval '30 days' AND node <> $1
) {_told("")}"""  # noqa: S608 - constants
"""Gives a node a lease, and forgets what leases have left that are over."""

RENEW: Final = f"""WITH over AS (
    {_OVER.format(other="number <> $1")}
), given AS (
    UPDATE nodes SET granted = greatest(granted, now()), until = greatest(until, now() + {_LENGTH.format("$7::double precision")}),
        draining = $6
    WHERE number = $1 AND node = $2 AND {GOOD} RETURNING *
), forgotten AS (
    DELETE FROM wakes WHERE (lease, device) IN (
        SELECT w.lease, w.device FROM wakes w JOIN unnest($4::text[], $5::bigint[]) AS r(device, version) USING (device, version)
        WHERE w.lease = $1 AND EXISTS (SELECT FROM given) FOR UPDATE OF w SKIP LOCKED
    )
) {_told("AND (w.device, w.version) NOT IN (SELECT * FROM unnest($4::text[], $5::bigint[]))")}
UNION ALL SELECT {INSTEAD}, {_LEASE}, NULL, NULL, run <> $3 AND number > $1 FROM nodes
    WHERE node = $2 AND NOT EXISTS (SELECT FROM given)"""  # noqa: S608 - constants
"""Renews a lease, and erases the wakes that its node has read; where it is not renewed, says whether another process has the name."""

RELEASE: Final = "UPDATE nodes SET until = now(), ended = true WHERE number = $1"
