"""A SQLite file as its writer sees it: jobs of a thread, which call back in the event loop."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from tocsin.persistence.disk_thread import DiskThread
from tocsin.persistence.failure_words import sentence
from tocsin.persistence.medium import Ended
from tocsin.persistence.sqlite_connection import ConnectionPair, Guarded, Statement
from tocsin.protocol.kernel.durability import Event, classify

LENGTHEN_AFTER = 8
"""Transactions after which the log is made as long as it will be: a process that writes less does without."""

logger = logging.getLogger(__name__)


class SqliteMedium:
    """What :class:`tocsin.persistence.medium.Medium` promises.

    :param thread: in which the connections are used.
    """

    def __init__(self, thread: DiskThread, connections: ConnectionPair) -> None:
        self.name: Path = connections.place.path
        """The path of the file."""
        self._thread = thread
        self._connections = connections
        self._commits = 0

    def transact(self, statements: list[Statement | Guarded], number: int, ended: Ended) -> None:
        """Run statements as one transaction with a number."""
        self._thread.submit(partial(self._connections.writer.transact, statements, number), ended)

    def ask(self, ended: Ended) -> None:
        """Open the file anew, and return which transaction its disk has."""
        self._thread.submit(self._connections.renew, ended)

    def judge(self, failure: BaseException) -> tuple[Event, str]:
        """Tell by SQLite's result code what has happened."""
        event = Event.FAILED if isinstance(failure, OSError) else classify(getattr(failure, "sqlite_errorcode", None))
        return event, sentence(self.name, failure)

    def settled(self) -> None:
        """Make the log longer when it is time for it."""
        self._commits += 1
        if self._commits == LENGTHEN_AFTER:
            self._thread.submit(self._connections.writer.lengthen_log, self._lengthened)

    def _lengthened(self, _: None, failure: BaseException | None) -> None:
        if failure is not None:  # commits take a little longer, until the log has become so long by itself
            logger.info("the log was not lengthened: %s", sentence(self.name, failure))
