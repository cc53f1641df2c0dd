"""What ``tocsin dead-letters`` may ask a running platform to change."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from tocsin.actors.operator_desk import OperatorDesk
from tocsin.protocol.errors import InvalidArgument
from tocsin.transport.control_socket import Answer


def dead_letter_verbs(desk: OperatorDesk) -> dict[str, Callable[[Answer], Awaitable[Answer]]]:
    """Return what answers each verb; the field ``id`` of a question is an id, or as much of it as no other's has."""
    return {
        "retry_dead_letter": partial(_settle, desk, retry=True),
        "drop_dead_letter": partial(_settle, desk, retry=False),
    }


async def _settle(desk: OperatorDesk, request: Answer, *, retry: bool) -> Answer:
    beginning = request.get("id")
    if not isinstance(beginning, str):
        raise InvalidArgument("'id' is a text in JSON: the id of a dead letter, or how it begins")
    return {"id": await desk.settle_dead_letter(beginning, retry=retry)}
