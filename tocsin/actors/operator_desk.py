"""What the user of the machine asks the payload router for, such as by ``tocsin dead-letters retry``, until it is answered."""

from __future__ import annotations

import anyio
from attrs import Factory, define

from tocsin.mailbox import Mailbox
from tocsin.persistence.dead_letter_choice import chosen_id
from tocsin.persistence.store import Store
from tocsin.protocol.errors import NotFound
from tocsin.protocol.messages import SettleDeadLetter


@define(eq=False)
class _Question:
    answered: anyio.Event = Factory(anyio.Event)
    refused: str = ""


class OperatorDesk:
    """Takes questions to the router, and its answers back."""

    def __init__(self, router: Mailbox, store: Store) -> None:
        self._router = router
        self._store = store
        self._questions: dict[int, _Question] = {}
        self._last = 0

    async def settle_dead_letter(self, beginning: str, *, retry: bool) -> str:
        """Have a dead letter become a payload again, behind those that wait, or be dropped; when this returns, that is on disk.

        :param beginning: its id, or as much of it as no other's has.
        :return: its id.
        :raises InvalidArgument: several ids begin so.
        :raises NotFound: it is not there, or its channel is gone.
        :raises PlatformUnavailable: the platform stops.
        """
        id_ = await chosen_id(self._store, beginning)
        self._last += 1
        number, question = self._last, _Question()
        self._questions[number] = question
        try:
            await self._router.send(SettleDeadLetter(number, id_, retry))
            await question.answered.wait()
        finally:
            del self._questions[number]
        if question.refused:
            raise NotFound(question.refused)
        return id_

    def answer(self, number: int, refused: str) -> None:
        """Note that a question was answered; ``refused`` is empty where it was done."""
        question = self._questions.get(number)
        if question is not None:  # else it is waited for no more
            question.refused = refused
            question.answered.set()
