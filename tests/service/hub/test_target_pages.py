"""Which registrations are looked through for a message."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

import pytest
from attrs import define, field

from tocsin.protocol.hub.message_life import Phase
from tocsin.service.hub.target_pages import TargetPages
from tocsin.service.registry.hub_store import MessageRow


@define
class Weighing:
    """A store that knows only how many registrations have a tag, and is asked for that."""

    counts: Mapping[str, int]
    counted: list[int] = field(factory=list)

    async def weights(self, hub: int, tags: Collection[str], limit: int) -> Mapping[str, int]:
        """Count them."""
        assert hub == 1
        found = {tag: min(self.counts[tag], limit) for tag in tags}
        self.counted.append(sum(found.values()))
        return found


def message(tags: str) -> MessageRow:
    """Make a message to a tag expression."""
    return MessageRow(1, "m", 1, Phase.PROCESSING, "windows", tags, (), b"", 0.0)


@pytest.mark.parametrize(
    ("tags", "through", "counted"),
    [
        ("all && few", {"few"}, 110),
        ("all && (few || some)", {"few", "some"}, 210 + 1_510),
        ("all && many", {"many"}, 200 + 2_000 + 15_000),
        ("all && !few", {"all"}, 0),
        ("few", {"few"}, 0),
    ],
)
async def test_the_fewest_are_looked_through(tags: str, through: set[str], counted: int) -> None:
    """Of a tag that has very many no more are counted than it takes to know that another has fewer."""
    store = Weighing({"all": 100_000, "many": 5_000, "some": 500, "few": 10})
    plan = await TargetPages(cast("Any", store), cast("Any", None)).plan(message(tags), 9)
    assert plan.tags == frozenset(through)
    assert sum(store.counted) == counted


@pytest.mark.parametrize(
    ("tags", "all_of_these"),
    [("a", True), ("a || b", True), ("a && b", False), ("a || (b && !b)", False), ("!a", False), ("a || !b", False)],
)
async def test_who_has_one_of_the_tags_need_not_be_matched(tags: str, all_of_these: bool) -> None:
    """Where the expression asks for no more than that; all others are."""
    plan = await TargetPages(cast("Any", Weighing({"a": 1, "b": 1})), cast("Any", None)).plan(message(tags), 9)
    assert (plan.expression is None) is all_of_these
