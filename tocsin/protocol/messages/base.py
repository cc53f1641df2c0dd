"""What all messages are, and how they get their tags."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

from attrs import define

__all__ = ["MESSAGES", "Columns", "Message", "light", "tagged"]

M = TypeVar("M", bound="type[Message]")

MESSAGES: dict[int, type[Message]] = {}
"""All messages by tag; filled once, while their modules are imported."""


if TYPE_CHECKING:
    from attrs import frozen as light
else:
    light = partial(define, unsafe_hash=True)
"""As ``attrs.frozen``, for messages of which each push has one: the type checkers alone see to it that nothing changes them. To
have the interpreter see to it costs more than all else of making one."""


class Message:
    """What all messages are."""

    __slots__ = ()
    TAG: ClassVar[int]


class Columns(Message):
    """A batch in columns: each field is a tuple with one value for each of its members, in the same order."""

    __slots__ = ()


def tagged(tag: int) -> Callable[[M], M]:
    """Give a message class its tag."""

    def register(cls: M) -> M:
        if tag in MESSAGES:
            raise ValueError(f"tag {tag} is taken by {MESSAGES[tag].__name__}")
        cls.TAG = tag
        MESSAGES[tag] = cls
        return cls

    return register
