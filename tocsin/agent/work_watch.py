"""Looks at launched processes while they work: whether their command was replaced, and how much memory they have.

Nothing is looked at while no such work runs. The rule is in ``tocsin.protocol.platform.launched_work``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from tocsin.actors.work_record import WorkRecord
from tocsin.agent.command_files import stamp_of
from tocsin.agent.launcher import Launched
from tocsin.mailbox import Mailbox
from tocsin.process_session import memory_of
from tocsin.protocol.messages import StopWork
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.platform.launched_work import LOOK_EVERY, reason_to_stop
from tocsin.protocol.text import harmless

logger = logging.getLogger(__name__)

_WORDS = {
    CancellationReason.SERVICING_UPDATE: "its command was replaced",
    CancellationReason.RESOURCE_REVOCATION: "it takes more memory than it may",
}


class WorkWatch:
    """Has the work cancelled that may not go on.

    :param work: what runs.
    :param launched: returns what is known of the launched process of a session; None where the session is of another.
    :param supervisor: the mailbox of the one who cancels.
    """

    def __init__(self, work: WorkRecord, launched: Callable[[str], Launched | None], supervisor: Mailbox) -> None:
        self._work = work
        self._launched = launched
        self._supervisor = supervisor
        self._told: set[str] = set()
        """Sessions whose work was cancelled; they get no other."""

    async def run(self) -> None:
        """Look, once a second while there is something to look at."""
        while True:
            if not self._at_work():
                await self._work.changed()
                continue
            await anyio.sleep(LOOK_EVERY)
            for app, session, launched in self._at_work():
                reason = await anyio.to_thread.run_sync(look, launched)
                if reason is not None and self._work.running.get(app) == session:
                    self._cancel(app, session, reason)

    def _at_work(self) -> list[tuple[str, str, Launched]]:
        self._told &= set(self._work.running.values())
        running = [each for each in self._work.running.items() if each[1] not in self._told]
        found = [(app, session, self._launched(session)) for app, session in running]
        return [(app, session, launched) for app, session, launched in found if launched is not None]

    def _cancel(self, app: str, session: str, reason: CancellationReason) -> None:
        self._told.add(session)
        logger.warning("the work of a launched process of %s is cancelled: %s", harmless(app), _WORDS[reason])
        self._supervisor.send_urgent(StopWork(app, reason, self._work.order(), every=False, session=session))


def look(launched: Launched) -> CancellationReason | None:
    """Look at a launched process, and tell why its work is to be cancelled."""
    limit = launched.command.memory_limit
    memory = memory_of(launched.pid) if limit else 0
    now = [stamp_of(path) for path in launched.stamps]
    return reason_to_stop([*launched.stamps.values()], now, memory, limit)
