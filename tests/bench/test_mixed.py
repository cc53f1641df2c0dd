"""The mixed load: it runs in a small way, and its account finds what is lost."""

from __future__ import annotations

import json

import pytest

from bench.__main__ import main
from bench.mixed_load import Account


def test_nothing_acknowledged_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    """A second of it, with every kind of mistake; every resource has its row."""
    assert main(["mixed", "--quick", "--json", "--loop", "asyncio"]) == 0
    report = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row["medians"] for row in report["rows"]}
    assert rows.keys() >= {"RSS MiB", "descriptors", "tasks", "store MiB", "WAL MiB", "kept for devices away"}
    assert all(rows[name]["at most"] > 0 for name in ("RSS MiB", "descriptors", "tasks", "store MiB", "devices"))
    assert rows["acknowledged"]["at the end"] > 0
    assert "none of them was lost" in report["remarks"][0]
    assert all(f" {status} " in report["remarks"][3] for status in (400, 401, 403, 404, 406, 410, 413))


class TestAccount:
    """What has yet to arrive."""

    def test_what_does_not_arrive_is_to_come(self) -> None:
        """Raw notifications one by one; it does not matter whether the device or the sender knows first."""
        account = Account()
        account.acknowledge("a", (1, "raw", None), mortal=False)
        account.arrive("b")
        account.acknowledge("b", (1, "raw", None), mortal=False)
        assert account.to_come.keys() == {"a"}
        account.arrive("a")
        account.arrive("a")
        assert (account.to_come, account.may_go, account.received, account.arrived) == ({}, set(), 2, 3)

    def test_a_newer_one_may_take_the_place_of_an_older(self) -> None:
        """Of the same channel, type and tag; the newest has to arrive."""
        account = Account()
        for id_, slot in (("a", (1, "tile", "x")), ("b", (1, "tile", "y")), ("c", (2, "tile", "x"))):
            account.acknowledge(id_, slot, mortal=False)
        account.acknowledge("d", (1, "tile", "x"), mortal=False)
        assert (set(account.to_come), account.may_go) == ({"b", "c", "d"}, {"a"})
        account.arrive("a")
        assert account.may_go == set()

    def test_an_answer_that_nobody_heard_leaves_a_doubt(self) -> None:
        """What was refused may have taken a place before it was; a raw notification replaces none."""
        account = Account()
        account.acknowledge("a", (1, "badge", None), mortal=False)
        account.acknowledge("b", (1, "raw", None), mortal=False)
        account.doubt((1, "badge", None))
        account.doubt((1, "raw", None))
        assert (set(account.to_come), account.may_go) == ({"b"}, {"a"})

    def test_what_is_short_lived_may_go(self) -> None:
        """And is forgotten once it has come."""
        account = Account()
        account.acknowledge("a", (1, "raw", None), mortal=True)
        assert (account.to_come, account.may_go) == ({}, {"a"})
        account.arrive("a")
        assert account.may_go == set()
