"""Reads what a push service answers to a sender."""

from __future__ import annotations

from collections.abc import Mapping

from tocsin.protocol.network.retry_after import parse_retry_after
from tocsin.protocol.send_result import SendResult

ACCEPTED = frozenset({200})
"""The HTTP statuses of what was taken on, or dropped for a reason."""

MAY_PASS = frozenset({None, 406, 408, 500, 502, 503, 504})
"""The HTTP statuses that another attempt may change; None is no answer at all."""

_WAITS = ("retry-after", "x-wns-continue-after")
_SHOWN = 64  # characters of a wait that is not understood


def read_answer(http_status: int, headers: Mapping[str, str], attempts: int, now: float) -> SendResult:
    """Read an answer; header names are lower-cased. Of the status, either spelling of its header will do.

    :param now: the time in seconds since the epoch, for an answer that names a date and not its own.
    """
    retry_after, retry_unclear = read_wait(headers, now)
    return SendResult(
        http_status=http_status,
        status=_word(headers.get("x-wns-status") or headers.get("x-wns-notificationstatus")),
        msg_id=headers.get("x-wns-msg-id"),
        description=headers.get("x-wns-error-description") or None,
        debug_trace=headers.get("x-wns-debug-trace"),
        device_connection_status=headers.get("x-wns-deviceconnectionstatus"),
        retry_after=retry_after,
        retry_unclear=retry_unclear,
        attempts=attempts,
    )


def _word(status: str | None) -> str | None:
    return None if status is None else status.strip().lower()


def read_wait(headers: Mapping[str, str], now: float) -> tuple[float | None, str | None]:
    """Return the longest wait that an answer asks for, in seconds, and the words of one that is not understood.

    A header that is there asks for a wait, whatever it holds, also nothing. Header names are lower-cased; what was not said is None.
    """
    texts = [text for text in map(headers.get, _WAITS) if text is not None]
    if not texts:
        return None, None
    waits = {text: parse_retry_after(text, headers.get("date"), now) for text in texts}
    seconds = [wait for wait in waits.values() if wait is not None]
    unclear = [text for text, wait in waits.items() if wait is None]
    return max(seconds, default=None), unclear[0][:_SHOWN] if unclear else None
