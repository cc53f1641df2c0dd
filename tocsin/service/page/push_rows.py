"""What was answered to senders lately, as rows of a table: so many are kept, each with its number."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from itertools import islice
from typing import Final

from tocsin.protocol.delivery.payload_events import PayloadEvent, Stage
from tocsin.service.page.markup import Markup, el, together

KEPT: Final = 200
"""Rows that are kept, and that one message to a viewer has at most."""

COLUMNS: Final = ("Time", "Answer", "App", "Type", "Reason", "Bytes")


class PushRow:
    """One answer, and the number that it has among all."""

    def __init__(self, number: int, event: PayloadEvent) -> None:
        self.number = number
        self.event = event

    @cached_property
    def markup(self) -> Markup:
        """The row of the table; it is written when it is looked at first, and once."""
        event = self.event
        moment = datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds")  # HTML knows no microseconds
        return el(
            "tr",
            el("td", el("time", moment[11:19], datetime=moment)),
            _said_of(event.stage, event.detail, event.app, event.type, event.reason),
            el("td", f"{event.size:,}" if event.type else "—", class_="number"),
        )


class PushRows:
    """The last rows."""

    def __init__(self) -> None:
        self.latest = 0
        """The number of the latest row, or of one that was lost behind it."""
        self._kept: deque[PushRow] = deque(maxlen=KEPT)

    def add(self, events: Sequence[PayloadEvent], lost: int) -> None:
        """Keep what was answered, the oldest first; so many were lost behind it."""
        self.latest += max(len(events) - KEPT, 0)  # those would be gone at once
        for event in events[-KEPT:]:
            self.latest += 1
            self._kept.append(PushRow(self.latest, event))
        self.latest += lost

    def forget(self) -> None:
        """Keep no rows from before: what came since was not noted."""
        self._kept.clear()

    def after(self, number: int) -> tuple[list[PushRow], int]:
        """Return the rows that came after that number, the oldest first, and how many more there were."""
        due = min(self.latest - number, len(self._kept))
        rows = [row for row in islice(reversed(self._kept), max(due, 0)) if row.number > number]
        return rows[::-1], max(self.latest - number, 0) - len(rows)

    def news(self, number: int) -> tuple[list[PushRow], int]:
        """Return them for a viewer that has seen the others; of more than are kept only half, which is more than can be read."""
        rows, missed = self.after(number)
        shown = rows if not missed else rows[-KEPT // 2 :]
        return shown, missed + len(rows) - len(shown)


@lru_cache(KEPT)  # of many that come at once, most are alike but for time and size
def _said_of(stage: Stage, detail: str, app: str, type_: str, reason: str) -> Markup:
    return together(
        el("td", el("span", f"{stage}, {detail}" if detail else stage, class_=f"stage {stage}")),
        el("td", app or "—"),
        el("td", type_ or "—"),
        el("td", reason, class_="reason"),
    )


def newest_first(rows: Iterable[PushRow]) -> Markup:
    """Put rows together for the table."""
    return together(*(row.markup for row in reversed(list(rows))))


def said(rows: Iterable[PushRow], missed: int) -> str:
    """Say what has come, for who listens."""
    counts = Counter(row.event.stage for row in rows)
    told = [f"{count} {stage}" for stage, count in counts.items()] + ([f"{missed} not shown"] if missed else [])
    return ", ".join(told)
