"""Text from outside on its way to disk, wire or log: it never fails, and never grows."""

from __future__ import annotations

MAX_DETAIL = 2_000
"""Characters that are told of what went wrong with a payload at most."""


def printable(text: str, limit: int = MAX_DETAIL) -> str:
    r"""Return a text that can be encoded as UTF-8: a lone surrogate, which cannot, as ``\udc80``.

    :param limit: characters at most.
    """
    return text[:limit].encode("utf-8", "backslashreplace").decode("utf-8")[:limit]


def describe_error(error: BaseException) -> str:
    """Return the class and the words of an error, ``MAX_DETAIL`` characters at most, also where its words cannot be had."""
    try:
        name = str.__str__(type(error).__name__)
    except BaseException:  # noqa: BLE001  # as below: a class of the app's may have a class of the app's
        name = "an error"
    try:
        words = str.__str__(str(error))  # the inner one may return a text of a class of its own
    except BaseException as failure:  # noqa: BLE001  # it is the app's code, and its error is what is told of
        return printable(f"{name} (its text cannot be had: {type(failure).__name__})")
    return printable(f"{name}: {words}" if words else name)
