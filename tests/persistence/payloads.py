"""Payloads of an inbox."""

from __future__ import annotations

from tocsin.persistence.store import DeadPayload
from tocsin.protocol.messages import PayloadRow
from tocsin.protocol.values import DropReason, NotificationType


def payload(sequence: int, channel: str = "c1", body: bytes = b"ding", attempt: int = 0) -> PayloadRow:
    """Build a payload; its id follows from its number."""
    return PayloadRow(sequence, f"id{sequence}", NotificationType.RAW, body, attempt, None, channel)


def dead(sequence: int, detail: str = "") -> DeadPayload:
    """Build the end of a payload that was not handled."""
    return DeadPayload(sequence, DropReason.EXPIRED, detail, 0.0)
