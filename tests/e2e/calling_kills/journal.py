"""What the programs of a run write down, a record at once, which no kill can tear."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from attrs import field, frozen

BEGAN: Final = "began"
"""The caller has asked for it."""
RANG: Final = "rang"
ACCEPTING: Final = "accepting"
CONNECTED: Final = "connected"
LEAVING: Final = "leaving"
"""It is being declined, given up or hung up."""
ENDED: Final = "ended"


@frozen
class Record:
    """Something that a program has seen of a call."""

    program: str
    call: str
    what: str
    reason: tuple[int, int] | None = None
    """Of an end."""


@frozen
class Journal:
    """Where the programs of a run write."""

    folder: Path
    _files: dict[str, int] = field(factory=dict, init=False)

    def note(self, program: str, call: str, what: str, reason: tuple[int, int] | None = None) -> None:
        """Write a record."""
        if program not in self._files:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            self._files[program] = os.open(self.folder / f"{program}.jsonl", flags, 0o600)
        os.write(self._files[program], (json.dumps([program, call, what, reason]) + "\n").encode())

    def records(self, program: str = "*") -> list[Record]:
        """Return the records of a program, or of all, those of each in their order."""
        return [
            Record(program, call, what, None if reason is None else (reason[0], reason[1]))
            for path in sorted(self.folder.glob(f"{program}.jsonl"))
            for program, call, what, reason in map(json.loads, path.read_text(encoding="utf-8").splitlines())
        ]


def open_calls(records: Iterable[Record]) -> dict[str, str]:
    """Return how far each call has come that has no end yet everywhere where it began or rang."""
    order = (BEGAN, RANG, ACCEPTING, CONNECTED, LEAVING)
    seen: dict[tuple[str, str], str] = {}
    for record in records:
        seen[record.call, record.program] = record.what
    found: dict[str, str] = {}
    for (call, _), what in seen.items():
        if what != ENDED:
            found[call] = max(found.get(call, BEGAN), what, key=order.index)
    return found
