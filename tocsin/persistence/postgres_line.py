"""One connection to PostgreSQL that is made when it is needed, and anew when it has broken."""

from __future__ import annotations

import anyio
from attrs import Factory, define

from tocsin.persistence.postgres_connection import OPEN_FOR, connect
from tocsin.persistence.postgres_statements import Link


@define(eq=False)
class PostgresLine:
    """The connection of one task; ``settings`` are the server's for it, ``patience`` the seconds that it takes to connect at most."""

    _url: str
    _settings: dict[str, str] = Factory(dict)
    _patience: float = OPEN_FOR
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
