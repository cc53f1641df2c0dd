"""The page on policy: its examples are policies without a fault, and it explains every setting."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tocsin.protocol.platform.effective_policy import effective_policy
from tocsin.protocol.platform.policy_text import OF_ALL, OF_APP, read_policy
from tocsin.protocol.platform.power import TABLE_BY_PRIORITY, Passage

PAGE = (Path(__file__).parents[1] / "docs" / "policy.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES)
def test_its_examples_are_right(text: str) -> None:
    """A laptop's, a server's and a fleet's: nothing in them is passed over."""
    written = read_policy(text)
    assert written.faults == ()
    assert effective_policy([("here", written)]).overruled == ()
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize(
    ("begin", "end", "settings"),
    [
        ("### Settings for all apps", "### Settings for one app", OF_ALL),
        ("### Settings for one app", "## What senders read", OF_APP),
    ],
)
def test_every_setting_is_explained(begin: str, end: str, settings: dict[str, object]) -> None:
    """With its default and its effect, and none that there is not."""
    part = PAGE[PAGE.index(begin) : PAGE.index(end)]
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == list(settings)
    assert all(len(row) == 3 and all(row) for row in rows)


def test_its_table_of_priorities_is_the_services() -> None:
    """Row by row, for apps that are exempt too."""
    words = {Passage.DELIVER: "at once", Passage.BATCH: "waits for others, 60 s at most", Passage.CACHE: "waits"}
    part = PAGE[PAGE.index("| priority |") : PAGE.index("`tocsin policy exempt")]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("|")][2:]
    states = ("on", "battery", "saver")
    for priority in range(4):
        assert rows[priority][1:] == [words[TABLE_BY_PRIORITY[state][0][priority]] for state in states]
    for row, priorities in ((rows[4], range(3)), (rows[5], range(3, 4))):
        for priority in priorities:
            assert row[1:] == [words[TABLE_BY_PRIORITY[state][1][priority]] for state in states]
