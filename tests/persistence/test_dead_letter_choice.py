"""Which dead letter is meant by how its id begins."""

from __future__ import annotations

import pytest

from tests.persistence.payloads import dead, payload
from tocsin.persistence.dead_letter_choice import chosen_id
from tocsin.persistence.memory_store import MemoryStore
from tocsin.persistence.store import Changes
from tocsin.protocol.errors import InvalidArgument, NotFound
from tocsin.protocol.messages import PayloadRow


def named(sequence: int, id_: str) -> PayloadRow:
    """Return a payload of that id."""
    return payload(sequence)._replace(id=id_)


async def test_small_letters_do_for_capitals() -> None:
    """An id as the push service makes it may be typed as one likes; one that is there as it was typed comes first."""
    store = MemoryStore()
    ids = ["6F0C11", "81BA22", "81ba33", "ABC", "ABCD"]
    accepted = [named(number, id_) for number, id_ in enumerate(ids, 1)]
    await store.commit(Changes(accepted=accepted, dead=[dead(number) for number in range(1, len(ids) + 1)]))
    found = [await chosen_id(store, typed) for typed in ("6f0c", "6F0C11", "81ba", "81BA", "abc")]
    assert found == ["6F0C11", "6F0C11", "81ba33", "81BA22", "ABC"]
    with pytest.raises(NotFound, match="'7'"):
        await chosen_id(store, "7")
    with pytest.raises(InvalidArgument, match="'ab'"):
        await chosen_id(store, "ab")
