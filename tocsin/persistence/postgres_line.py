"""One connection to PostgreSQL that is made when it is needed, and anew when it has broken."""

from __future__ import annotations

from typing import Final

import anyio
from attrs import Factory, define

from tocsin.persistence.postgres_connection import connect
from tocsin.persistence.postgres_statements import Link

CONNECTS: Final = 1.0
"""Seconds in which a connection has to be made. Where a network is there again, a new attempt is: the first packet of one that was made
meanwhile is sent again after 1, 3 and 7 s."""


@define(eq=False)
class PostgresLine:
    """The connection of one task; ``settings`` are the server's for it, ``patience`` the seconds that it takes to connect at most."""

    _url: str
    _settings: dict[str, str] = Factory(dict)
    _patience: float = CONNECTS
    link: Link | None = None

    async def connected(self) -> Link:
        """Return the connection.

        :raises StateUnavailable: the URL cannot be read.
        :raises asyncpg.PostgresError: the server refuses the connection.
        :raises OSError: it cannot be reached, or not in time.
        """
        if self.link is None or self.link.is_closed():
            with anyio.fail_after(self._patience):
                self.link = await connect(self._url, **self._settings)
        return self.link

    def drop(self) -> None:
        """Break it."""
        link, self.link = self.link, None
        if link is not None:
            link.terminate()
