"""Who may report on what: a session on what it has, or had in an attempt that is over, and never on another app's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tests.simulation.record import Record
from tocsin.actors.supervisor import Supervisor
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.payload_life import Phase
from tocsin.protocol.messages.codec import decode_own


@contextmanager
def judged(record: Record, supervisor: Supervisor, message: m.Message) -> Iterator[None]:
    """See that what the block takes in changes nothing for payloads on which that session may not report."""
    wrong = list(_wrong(record, supervisor, message)) if isinstance(message, m.Stamped) else []
    before = {sequence: _phase(supervisor, sequence) for sequence in wrong}
    yield
    for sequence, phase in before.items():
        if _phase(supervisor, sequence) is not phase:
            record.offend("only_who_has_a_payload_settles_it", f"payload {sequence} was {phase} until {message}")


def _wrong(record: Record, supervisor: Supervisor, stamped: m.Stamped) -> Iterator[int]:
    for sequence, attempt in _reported(decode_own(stamped.frame)):
        row = supervisor._payloads._rows.get(sequence)
        if row is None:
            continue
        app, _ = record.granted[record.accepted[sequence][0]]
        tracked = supervisor._payloads._tracked.get(sequence)
        having = {supervisor._payloads.holder(sequence), "" if tracked is None else tracked.session}
        _, _, _, _, current, _, _, _, _ = row
        if stamped.app != app or (attempt == current and stamped.session not in having):
            yield sequence


def _reported(message: m.Message) -> Iterable[tuple[int, int]]:
    if isinstance(message, m.Handled):
        return zip(message.sequences, message.attempts, strict=True)
    return [(row[0], row[3]) for row in message.rows] if isinstance(message, m.Outcomes) else []


def _phase(supervisor: Supervisor, sequence: int) -> Phase | None:
    """Return how a payload stands; None where it has ended."""
    tracked = supervisor._payloads._tracked.get(sequence)
    if tracked is not None:
        return tracked.phase
    return Phase.OFFERED if sequence in supervisor._payloads._rows else None
