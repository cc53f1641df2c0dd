"""The end: everything comes to its end, and what was accepted is compared with what came."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import anyio
from attrs import define

from tests.e2e.crash.victims import PATIENCE, Stuck, within
from tests.e2e.hub_kills.figures import HubFigures, Sent, wait_until
from tests.e2e.hub_kills.hub_client import HubClient
from tests.e2e.hub_kills.recipients import Recipient

LOOK = 0.05
"""Seconds between two looks into the database."""


@define
class Verdict:
    """Judges a run, whose service is there still."""

    database: Path
    client: HubClient
    recipients: Sequence[Recipient]
    figures: HubFigures

    async def judge(self, messages: Sequence[Sent]) -> None:
        """Wait until nothing is open any more, and compare what was accepted with what came."""
        kept = await self._settle()
        for sent in messages:
            id_ = kept.get(sent.number, "")
            if sent.id and sent.id != id_:
                self._complain(sent, f"was accepted as {sent.id}, but is kept as {id_ or 'nothing'}")
            elif id_:
                self.figures.unanswered_kept += not sent.id
                await self._judge_kept(sent, id_)
            elif came := self._came(sent):
                self._complain(sent, f"is not kept, but came to {came}")
        for recipient in self.recipients:
            self.figures.handled += recipient.handled.total()
            self.figures.twice_on_the_wire += recipient.again

    async def _judge_kept(self, sent: Sent, id_: str) -> None:
        state = await self.client.state(id_)
        if state is None:
            self._complain(sent, "is not known to the hub")
        elif state.state == "Cancelled" and sent.may_be_cancelled:
            if came := self._came(sent):
                self._complain(sent, f"was cancelled, but came to {came}")
        elif sent.cancelled:
            self._complain(sent, f"was cancelled, but is {state}")
        else:
            if (state.state, state.counts) != ("Completed", {"Success": len(sent.targets)}):
                self._complain(sent, f"is for {sorted(sent.targets)}, but is {state}")
            try:
                await wait_until(lambda: self._came(sent).keys() >= sent.targets, "it did not come")
            except Stuck as stuck:
                words = f"message {sent.number} is {state}, for {sorted(sent.targets)}, but came to {self._came(sent)}"
                raise Stuck("; ".join([words, *self.figures.violations])) from stuck
            if self._came(sent) != dict.fromkeys(sent.targets, 1):
                self._complain(sent, f"is for {sorted(sent.targets)}, each once, but came to {self._came(sent)}")

    def _came(self, sent: Sent) -> dict[str, int]:
        """Return how often each device's handler was given a message, under whatever id."""
        counts = {
            recipient.name: sum(count for (number, _), count in recipient.handled.items() if number == sent.number)
            for recipient in self.recipients
        }
        return {name: count for name, count in counts.items() if count}

    def _complain(self, sent: Sent, what: str) -> None:
        self.figures.violations.append(f"message {sent.number} ({sent.kind}) {what}")

    async def _settle(self) -> dict[int, str]:
        """Wait until no message is open; return the ids of all that are kept, by number."""
        database = f"{self.database.as_uri()}?mode=ro"
        still: list[tuple[object, ...]] = []
        try:
            with within(PATIENCE, "messages did not end"):
                while True:
                    with closing(sqlite3.connect(database, uri=True, timeout=5)) as rows:
                        still = rows.execute("SELECT * FROM hub_messages WHERE ended IS NULL").fetchall()
                        if not still:
                            found = rows.execute("SELECT body, id FROM hub_messages").fetchall()
                            break
                    await anyio.sleep(LOOK)
        except Stuck as stuck:
            raise Stuck(f"{stuck}: {still[:5]}") from None
        return {int(body): id_ for body, id_ in found}
