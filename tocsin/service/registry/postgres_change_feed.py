"""What nodes are told of each other's changes, in PostgreSQL: rows that triggers write, and a NOTIFY that wakes who listens.

Transactions do not commit in the order of their numbers. So a node reads again from the lowest number that was not done when
it read last: what is committed later has that number, or a higher one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import anyio

from tocsin.persistence.postgres_connection import OPEN_FOR, bounded, connect
from tocsin.persistence.postgres_database import PostgresDatabase
from tocsin.persistence.postgres_statements import Statement
from tocsin.persistence.postgres_words import FAILURES, sentence
from tocsin.protocol.errors import StateUnavailable
from tocsin.service.registry.change_feed import Change, ChangeKind, Seen
from tocsin.service.registry.postgres_tables import CHANGED

KEPT_FOR: Final = "1 hour"
"""After which a change is erased: a node that has not read it by then reads everything anew."""

_LISTEN_AGAIN: Final = 1.0  # seconds until the connection that listens is tried again
_PLACE: Final = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
_SINCE: Final = f"""SELECT ({_PLACE}), c.xid::text, c.kind, c.key
    FROM (SELECT) AS one LEFT JOIN changes c ON c.xid >= $1::text::xid8"""  # noqa: S608 - a constant
# The mark has the number of the last that was erased, so that those find it who have not read that.
_ERASE: Final = f"""WITH erased AS (DELETE FROM changes WHERE at < clock_timestamp() - interval '{KEPT_FOR}' RETURNING xid)
    INSERT INTO changes (xid, kind, key) SELECT xid, '{ChangeKind.ERASED.value}', '' FROM erased ORDER BY xid DESC LIMIT 1
    ON CONFLICT (xid, kind, key) DO UPDATE SET at = excluded.at"""  # noqa: S608 - constants

logger = logging.getLogger(__name__)


class PostgresChangeFeed:
    """Keeps what :class:`tocsin.service.registry.change_feed.ChangeFeed` promises.

    :param url: of the database, for the connection that listens.
    """

    def __init__(self, database: PostgresDatabase, url: str) -> None:
        self._database = database
        self._url = url

    async def place(self) -> int:
        """Return the lowest number of a transaction that is not done."""
        return int((await self._database.read(_PLACE))[0][0])

    async def since(self, place: int) -> Seen:
        """Return the changes from a place on."""
        rows = await self._database.read(_SINCE, str(place))
        changes = frozenset(Change(int(number), kind, key) for _, number, kind, key in rows if number is not None)
        return Seen(int(rows[0][0]), changes)

    async def listen(self, wake: Callable[[], object]) -> None:
        """Call this after each change that is heard of, and whenever some may have gone unheard."""
        told = False

        def hear(*_: object) -> None:
            wake()

        while True:
            try:
                link = await connect(self._url)
                ended = asyncio.Event()
                try:
                    link.add_termination_listener(lambda *_, ended=ended: ended.set())
                    with bounded(link, OPEN_FOR):
                        await link.add_listener(CHANGED, hear)
                    wake()
                    told = False
                    await ended.wait()
                finally:
                    link.terminate()
            except (*FAILURES, StateUnavailable) as failure:
                if not told:
                    text = "changes of other nodes are looked for once a second only, until they are heard of again: %s"
                    logger.info(text, sentence(self._database.name, failure))
                told = True
            await anyio.sleep(_LISTEN_AGAIN)

    async def erase(self) -> None:
        """Erase the changes of long ago."""
        await self._database.write(Statement(_ERASE, [()]))
