"""Dead letters as a user names them, and what becomes of one in a store that no platform uses just now."""

from __future__ import annotations

import time
from collections.abc import Container

from tocsin.persistence.store import Changes, DeadLetter, Store
from tocsin.protocol.errors import InvalidArgument, NotFound
from tocsin.protocol.text import quoted
from tocsin.protocol.values import NotificationType


async def chosen_id(store: Store, beginning: str) -> str:
    """Return the id of the dead letter that has this id, or of the only one whose id begins so.

    :raises NotFound: there is none.
    :raises InvalidArgument: several begin so, or nothing was named.
    """
    if not beginning:
        raise InvalidArgument("a dead letter is named by its id, or by how that begins, not by an empty text")
    found = await store.dead_letter_ids(beginning, 2)
    if not found:  # the ids of a push service of ours are in capitals
        found = await store.dead_letter_ids(beginning.upper(), 2)
    if not found:
        raise NotFound(f"no dead letter has the id {quoted(beginning)}, or one that begins so")
    if len(found) > 1 and found[0] not in {beginning, beginning.upper()}:
        raise InvalidArgument(f"the ids of several dead letters begin with {quoted(beginning)}; give more of it")
    return found[0]


def check_retry(letter: DeadLetter | None, id_: str, channels: Container[str]) -> DeadLetter:
    """Return a dead letter that may become a payload again.

    :param channels: those that the device holds.
    :raises NotFound: it is not there, or its channel is gone, or it cannot be decrypted.
    """
    found = check_drop(letter, id_)
    if found.channel not in channels:
        raise NotFound(f"the channel of {quoted(id_)} is gone, so that no app would get it; it stays a dead letter")
    if found.type == NotificationType.PUSH:
        raise NotFound(f"{quoted(id_)} cannot be decrypted, so that no app would get it; it stays a dead letter")
    return found


def check_drop(letter: DeadLetter | None, id_: str) -> DeadLetter:
    """Return a dead letter that is there.

    :raises NotFound: it is not.
    """
    if letter is None:
        raise NotFound(f"the dead letter {quoted(id_)} is no longer there")
    return letter


async def settle_stored(store: Store, id_: str, *, retry: bool) -> None:
    """Retry or drop a dead letter of a store that no platform uses; one that is retried comes behind all that waits.

    :raises NotFound: it is not there, or its channel is gone.
    """
    letter = await store.dead_letter(id_)
    if retry:
        letter = check_retry(letter, id_, {channel.channel for channel in await store.channels()})
        again = letter.again((await store.inbox()).last_sequence + 1, time.time())
        await store.commit(Changes(accepted=[again], retried=[letter.sequence]))
    else:
        await store.commit(Changes(dropped=[check_drop(letter, id_).sequence]))
