"""Messages that may be on disk, though their senders were told that they are not, and send them again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container
from functools import partial

from attrs import evolve

from tocsin.protocol.hub.message_life import Phase
from tocsin.repeat_log import RepeatLog
from tocsin.service.hub.message_work import until_stored
from tocsin.service.registry.hub_store import HubStore, MessageRow
from tocsin.tasks import Signal


class Disowned:
    """Knows them by their ids until they are cancelled on disk: the next start would not know that they were refused.

    :param begun: the ids of what something is at work on.
    :param now: the service's time.
    """

    def __init__(self, store: HubStore, begun: Container[str], recurring: RepeatLog, now: Callable[[], float]) -> None:
        self._store = store
        self._begun = begun
        self._recurring = recurring
        self._now = now
        self._ids: dict[str, bool] = {}  # and whether each is cancelled on disk
        self._to_cancel: deque[MessageRow] = deque()
        self._more = Signal()

    def add(self, message: MessageRow) -> None:
        """Note a message."""
        self._ids[message.id] = False
        self._to_cancel.append(message)
        self._more.set()

    def __contains__(self, id_: str) -> bool:
        """Tell whether that message was refused."""
        return id_ in self._ids

    def forget_cancelled(self) -> None:
        """Forget those that are cancelled on disk: nothing has to do with a row that was read before that."""
        self._ids = {id_: False for id_, is_cancelled in self._ids.items() if not is_cancelled}

    async def run(self) -> None:
        """Cancel them on disk, as soon as that can be written."""
        while True:
            await self._more.wait()
            while self._to_cancel:
                message = self._to_cancel.popleft()
                if message.id not in self._begun:
                    row = evolve(message, phase=Phase.CANCELLED, ended=self._now())
                    # Writes keep their order: it is there before this one, or never.
                    await until_stored(partial(self._store.save_progress, row, (), (), ()), self._recurring)
                self._ids[message.id] = True
