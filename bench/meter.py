"""What a turn costs: CPU a message of each process that takes part, and how busy the machine was meanwhile."""

from __future__ import annotations

import os
from collections.abc import Mapping
from time import process_time

from bench.framework import Sample
from bench.processes import cpu_seconds


class Meter:
    """Counts from when it is made.

    :param server: the process id of the server; its children count with it.
    """

    def __init__(self, server: int) -> None:
        self._server = server
        self._before = cpu_seconds(server)
        self._own = process_time()
        self._load = os.getloadavg()[0]

    def found(self, sent: float, arrived: Mapping[str, float] | None, sender: float | None = None) -> Sample:
        """Return µs of CPU a message, and the load at the begin and at the end.

        :param sent: messages that server and sender dealt with.
        :param arrived: what the receiver has told: its count and its CPU seconds; None where there is no receiver.
        :param sender: the CPU seconds of the sender; None where this process is it.
        """
        own = process_time() - self._own
        found = {"server CPU µs": 1e6 * (cpu_seconds(self._server) - self._before) / sent}
        if arrived is not None:
            found["receiver CPU µs"] = 1e6 * arrived["cpu"] / max(arrived["count"], 1)
        found["sender CPU µs"] = 1e6 * (own if sender is None else sender) / sent
        return found | {"load at begin": self._load, "load at end": os.getloadavg()[0]}
