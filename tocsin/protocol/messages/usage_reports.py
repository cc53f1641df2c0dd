"""What apps say of the bytes that they send and receive by themselves, and what they ask of all that counts as theirs."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.messages.base import Message, tagged


@tagged(87)
@frozen
class ReportUsage(Message):
    """An app has sent and received so many bytes by itself since it has last said so."""

    request: int
    sent: int
    received: int


@tagged(88)
@frozen
class AskUsage(Message):
    """An app asks what has gone on its account from one day to another, both included, as ``datetime.date.toordinal`` has them."""

    request: int
    first: int
    last: int


@tagged(89)
@frozen
class UsageFound(Message):
    """The answer: bytes."""

    request: int
    sent: int
    received: int
