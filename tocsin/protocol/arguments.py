"""What is looked at where arguments come in: that each is of the kind that it has to be.

Python would go on with another kind until something far from the call fails: ``bytes(5)`` are five zero bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isasyncgenfunction, isgeneratorfunction
from math import inf, isfinite
from typing import Any

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted
from tocsin.protocol.values import MAX_APP_NAME

_NAMES = {
    bool: "True or False",
    bytes: "bytes",
    float: "a number",
    int: "a whole number",
    str: "text",
    type(None): "None",
}

EXACT = 2**53
"""The greatest whole number that a float holds as exactly as those before it: clocks and databases go no further."""


def check_kind(value: object, what: str, *kinds: type) -> None:
    """Refuse a value that is of none of these kinds; True and False are no numbers, and a whole number is a number.

    :raises InvalidArgument: the sentence does not show the value, which may be secret.
    """
    allowed = (*kinds, int) if float in kinds else kinds
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(_NAMES.get(kind, kind.__name__) for kind in kinds)
        raise InvalidArgument(f"{what} must be {wanted}, not {type(value).__name__}")


def check_finite(value: Any, what: str) -> None:
    """Refuse what is no number, or no finite one.

    :raises InvalidArgument: the value is that.
    """
    check_kind(value, what, float)
    try:
        is_finite = isfinite(value)
    except OverflowError:
        raise InvalidArgument(f"{what} is a greater number than can be reckoned with") from None
    if not is_finite:
        raise InvalidArgument(f"{what} must be a finite number, not {quoted(value)}")


def check_within(value: Any, what: str, least: int, most: int) -> None:
    """Refuse what is no whole number within these limits.

    :raises InvalidArgument: the value is that.
    """
    check_kind(value, what, int)
    if not least <= value <= most:
        raise InvalidArgument(f"{what} must be from {least} to {most}, not {quoted(value)}")


def check_text(value: object, what: str) -> None:
    """Refuse what is no text, is empty, or cannot be written as UTF-8.

    :raises InvalidArgument: the sentence does not show it.
    """
    check_kind(value, what, str)
    if not value:
        raise InvalidArgument(f"{what} must not be empty")
    try:
        str(value).encode()
    except UnicodeEncodeError:  # half of a character, as Python makes of bytes that are no text
        raise InvalidArgument(f"{what} must be text that UTF-8 can express") from None


def check_app_name(value: Any, what: str = "an app's name") -> None:
    """Refuse what is no name of an app: 1 to ``MAX_APP_NAME`` printable characters, not blanks alone.

    :raises InvalidArgument: the value is none.
    """
    check_kind(value, what, str)
    if not value.strip() or len(value) > MAX_APP_NAME or not value.isprintable():
        raise InvalidArgument(f"{what} has 1 to {MAX_APP_NAME} printable characters, not {quoted(value)}")


def check_callable(value: object, what: str) -> None:
    """Refuse what cannot be called, and a function with a ``yield``: calling it would run nothing of it.

    :raises InvalidArgument: it is one of these.
    """
    if not callable(value):
        raise InvalidArgument(
            f"{what} is called, which {type(value).__name__} cannot be: give the function itself, not what it returns"
        )
    if isgeneratorfunction(value) or isasyncgenfunction(value):
        raise InvalidArgument(f"{what} is called, and a function with a yield would never run: return instead")


def number(
    least: float, most: float = inf, *, above: bool = False, below: bool = False, whole: bool = False
) -> Callable[..., None]:
    """Return a validator for attrs: a number from ``least`` to ``most``, with ``above`` and ``below`` without these two.

    :raises InvalidArgument: when it is called with another.
    """

    def check(_: Any, attribute: Any, value: Any) -> None:
        check_kind(value, attribute.name, int if whole else float)
        if isinstance(value, int) and abs(value) > EXACT:
            raise InvalidArgument(f"{attribute.name} must be a number that a float holds exactly, {EXACT} at most")
        if not least <= value <= most or (above and value == least) or (below and value == most):
            limits = f"{'above' if above else 'from'} {least:g}"
            limits += "" if most == inf else f" {'and below' if below else 'to'} {most:g}"
            raise InvalidArgument(f"{attribute.name} must be {limits}, not {quoted(value)}")

    return check


def truth(_: Any, attribute: Any, value: Any) -> None:
    """Check, for attrs, that a value is True or False.

    :raises InvalidArgument: it is not.
    """
    check_kind(value, attribute.name, bool)
