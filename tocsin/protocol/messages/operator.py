"""What the user of the machine asks for by the command."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.messages.base import Message, tagged


@tagged(110)
@frozen
class SettleDeadLetter(Message):
    """The dead letter with that id is to become a payload again, or else to be dropped."""

    request: int
    id: str
    retry: bool
