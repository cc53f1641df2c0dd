"""``tocsin tail``: what a stage looks like, and that its help and the docs have them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import call
from tocsin.cli.tail import _line
from tocsin.protocol.delivery.payload_events import Stage

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("stage", list(Stage))
def test_each_stage_is_explained(stage: Stage) -> None:
    """In the help, and those of an agent in the docs."""
    code, output, _ = call("tail", "--help")
    assert code == 0
    assert stage in output.split("examples:")[0].replace(",", " ").replace(".", " ").split()
    if stage not in {Stage.RECEIVED, Stage.DROPPED, Stage.REFUSED}:
        (line,) = [line for line in (DOCS / "agent.md").read_text().splitlines() if "`tocsin tail --app" in line]
        assert stage in line


def test_what_is_behind_the_stages_stands_below_one_another() -> None:
    """The longest has room; what a desktop did not show says why."""
    event = {"at": 0, "app": "mail", "channel": "c", "id": "7"}
    lines = [_line(event | {"stage": str(stage)}) for stage in Stage]
    assert len({line.index("mail") for line in lines}) == 1
    suppressed = _line(event | {"stage": "suppressed", "reason": "quiet_hours", "detail": "until 7\x1b"})
    assert suppressed.endswith("suppressed  mail  c  7  quiet_hours  until 7\\x1b")
