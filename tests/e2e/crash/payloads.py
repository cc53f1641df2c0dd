"""The payloads of the kill loop: each has a number, and with it the manner in which the app ends it."""

from __future__ import annotations

from enum import Enum, auto

from attrs import frozen

LAST = b" last"
"""What follows the number of the payload behind which there is no other."""

RECORD = 32
"""Bytes of a record: a divisor of the page size, so that none lies across two pages, between which a kill could fall."""


class Manner(Enum):
    """How the app ends a payload."""

    AT_ONCE = auto()
    LATER = auto()
    REFUSE = auto()
    FAIL = auto()


def manner_of(number: int) -> Manner:
    """Say how the app ends the payload with this number: one in 100 it refuses, on one in 100 it fails."""
    if number % 100 == 41:
        return Manner.REFUSE
    if number % 100 == 83:
        return Manner.FAIL
    return Manner.LATER if number % 10 == 0 else Manner.AT_ONCE


def number_of(body: bytes) -> int:
    """Read the number of a payload."""
    return int(body.removesuffix(LAST))


@frozen
class HandedOut:
    """What the app writes down of a payload before it does anything else."""

    number: int
    id: str
    attempt: int

    def encode(self) -> bytes:
        """Return the record."""
        line = f"{self.number:010} {self.id} {self.attempt:03}\n".encode("ascii")
        if len(line) != RECORD:
            raise ValueError(f"not of {RECORD} bytes: {line!r}")
        return line

    @classmethod
    def decode(cls, line: bytes) -> HandedOut:
        """Read a record."""
        number, id_, attempt = line.decode("ascii").split()
        return cls(int(number), id_, int(attempt))
