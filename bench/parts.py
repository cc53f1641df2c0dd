"""On what the CPU of a process goes, by parts of the way of a message: found by looking at its stack every millisecond of CPU."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Mapping, Sequence
from time import process_time, thread_time
from types import FrameType
from typing import Final

Parts = Mapping[str, Sequence[str]]
"""Pieces of the paths of files, each of which may have a function behind a colon, by the part that they belong to."""

SERVICE: Final[Parts] = {
    "head": (
        "web_push_exchange",
        "wns_exchange",
        "judged_heads",
        "service/web_push.py",
        "service/wns.py",
        "request_ids",
    ),
    "VAPID": ("vapid", "webpush/sender.py", "access_tokens"),
    "envelope": ("web_push.py:envelope", "web_push.py:fault_of_body", "envelope.py"),
    "push": (
        "service/devices/",
        "senders/dispatch",
        "senders/sender_exchange",
        "registry/channel",
        "/offline",
        "messages/",
    ),
    "answer": ("_exchange.py:_accept", "_exchange.py:_answer", "_answers.py", "answer_framing", "exchanges.py:answer"),
    "device wire": ("websocket", "device_connection", "codec", "wire"),
    "HTTP": ("service/web/",),
}
"""Of the push service."""

APP: Final[Parts] = {
    "decrypt": ("tocsin/webpush/", "push_messages", "webpush/envelope.py", "cryptography/"),
    "device wire": ("tocsin/transport/", "websockets/", "messages/", "connection_mailbox", "codec"),
    "handler": ("bench/receiving", "tocsin/api/"),
    "inbox": ("tocsin/actors/", "tocsin/persistence/", "tocsin/protocol/"),
}
"""Of an app."""

REST: Final = "rest"
THREADS: Final = "other threads"

_PERIOD: Final = 0.001  # seconds of CPU


class Sampler:
    """Looks at what the main thread does, from :meth:`begin` to :meth:`found`.

    The signal comes after so much CPU of the whole process; what the main thread has not used of it, other threads have.
    """

    def __init__(self, parts: Parts) -> None:
        self._places = [(part, *each.partition(":")[::2]) for part, pieces in parts.items() for each in pieces]
        self._places.sort(key=lambda place: not place[2])  # functions before the files that they are in
        self._known: dict[tuple[str, str], str] = {}
        self._used: defaultdict[str, float] = defaultdict(float)
        self._main = self._all = 0.0

    def begin(self) -> None:
        """Begin, from nothing."""
        self._used.clear()
        self._main, self._all = thread_time(), process_time()
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, _PERIOD, _PERIOD)

    def found(self) -> dict[str, float]:
        """End; return the CPU seconds of each part."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        return dict(self._used)

    def _look(self, _signal: int, frame: FrameType | None) -> None:
        main, everything = thread_time(), process_time()
        own, total = main - self._main, everything - self._all
        self._main, self._all = main, everything
        self._used[self._part(frame)] += own
        self._used[THREADS] += max(total - own, 0.0)

    def _part(self, frame: FrameType | None) -> str:
        """Return the part of the innermost function that has one."""
        while frame is not None:
            code = frame.f_code
            at = (code.co_filename, code.co_name)
            part = self._known.get(at)
            if part is None:
                part = self._known[at] = self._place(*at)
            if part:
                return part
            frame = frame.f_back
        return REST

    def _place(self, file: str, function: str) -> str:
        return next((part for part, piece, name in self._places if piece in file and name in {"", function}), "")
