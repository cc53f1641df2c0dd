"""Text from outside on its way to disk, wire, log or screen: it never fails, never grows, and gives a terminal no orders."""

from __future__ import annotations

MAX_DETAIL = 2_000
"""Characters that are told of what went wrong with a payload, or in an error of ours, at most."""

MAX_SENTENCE = 500
"""Characters of a sentence in which peers and libraries have a part at most."""

MAX_QUOTED = 100
"""Characters of an argument that a sentence shows at most."""


def encodable(text: str, limit: int = MAX_DETAIL) -> str:
    r"""Return a text that can be encoded as UTF-8: a lone surrogate, which cannot, as ``\udc80``.

    :param limit: characters at most.
    """
    return text[:limit].encode("utf-8", "backslashreplace").decode("utf-8")[:limit]


def harmless(text: object, limit: int | None = None) -> str:
    """Return a text as one line in which what is not printable is shown as an escape.

    So neither control sequences, nor line ends, nor marks that turn the direction of writing reach a terminal or a log.

    :param limit: characters at most, 1 or more; where some are left out, the last one says so.
    """
    shown = str(text)
    if limit is not None:
        shown = shown[: limit + 1]
    if not shown.isprintable():
        shown = "".join(map(_escaped, shown))
    return shown if limit is None or len(shown) <= limit else f"{shown[: limit - 1]}…"


def quoted(value: object) -> str:
    """Return how an argument is written, for the sentence that refuses it: ``MAX_QUOTED`` characters at most.

    Where it cannot be had, as of an object whose ``__repr__`` fails or of a whole number with too many digits, its class.
    """
    short = value[: MAX_QUOTED + 1] if isinstance(value, (str, bytes)) else value  # a long one is not written out
    try:
        return harmless(str.__str__(repr(short)), MAX_QUOTED)
    except Exception:  # noqa: BLE001  # it is the caller's code, or Python's limit
        return harmless(f"a value of {type(value).__name__}", MAX_QUOTED)


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def describe_error(error: BaseException) -> str:
    """Return the class and the words of an error, ``MAX_DETAIL`` characters at most, also where its words cannot be had."""
    try:
        name = str.__str__(type(error).__name__)
    except BaseException:  # noqa: BLE001  # as below: a class of the app's may have a class of the app's
        name = "an error"
    try:
        words = str.__str__(str(error))  # the inner one may return a text of a class of its own
    except BaseException as failure:  # noqa: BLE001  # it is the app's code, and its error is what is told of
        return encodable(f"{name} (its text cannot be had: {type(failure).__name__})")
    return encodable(f"{name}: {words}" if words else name)
