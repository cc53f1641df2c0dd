"""What the ``tocsin`` command may ask an agent over the control socket of its state folder."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from importlib.metadata import version

import anyio

from tocsin.protocol.errors import NotSupported
from tocsin.protocol.text import quoted
from tocsin.transport.control_socket import Answer

KIND = "agent"
"""What the answer to ``status`` says of itself, in its field ``kind``."""


class AgentControl:
    """Answers the command; what is asked is a JSON object with the field ``verb``."""

    def __init__(self) -> None:
        self.replaced = anyio.Event()
        """Set when another agent has asked this one to make way."""
        self._verbs: dict[str, Callable[[Answer], Awaitable[Answer]]] = {
            "status": self._status,
            "replace": self._replace,
        }

    async def perform(self, request: Answer) -> Answer:
        """Do what is asked.

        :raises NotSupported: this agent does not know how to.
        """
        verb = request.get("verb")
        known = self._verbs.get(verb) if isinstance(verb, str) else None
        if known is None:
            raise NotSupported(f"this agent does not know how to {quoted(verb)}")
        return await known(request)

    async def _status(self, _: Answer) -> Answer:
        return self._identity()

    async def _replace(self, _: Answer) -> Answer:
        self.replaced.set()
        return self._identity()

    def _identity(self) -> Answer:
        return {"kind": KIND, "pid": os.getpid(), "version": version("tocsin")}
