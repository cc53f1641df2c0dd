"""How an attached handler is taken back: by the token that it was attached with, or by itself."""

from __future__ import annotations

from collections.abc import Sequence
from types import MethodType

from tocsin.protocol.errors import InvalidArgument, NotFound
from tocsin.protocol.text import quoted


def token_of(wanted: object, handlers: Sequence[tuple[int, object]], what: str) -> int:
    """Return the token of an attached handler; of one that is attached more than once, the latest.

    :raises InvalidArgument: it is neither a token nor a handler.
    :raises NotFound: it is not attached.
    """
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if any(token == wanted for token, _ in handlers):
            return wanted
        raise NotFound(f"no handler of {what} has the token {quoted(wanted)}")
    if not callable(wanted):
        raise InvalidArgument(f"a handler is removed by itself or by its token, not by {quoted(wanted)}")
    for token, handler in reversed(handlers):
        if _is_same(handler, wanted):
            return token
    raise NotFound(f"that handler is not attached to {what}")


def _is_same(one: object, other: object) -> bool:
    # A bound method is another object each time that it is named. Of other classes no __eq__ is asked: it is the app's.
    return one is other or (type(one) is MethodType and type(other) is MethodType and one == other)
