"""The examples run as they stand."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

EXPECTED = {
    "foreground.py": ["the service says received", "got b'you have mail'"],
    "background.py": ["the service says received", "no network: the payload waits", "downloaded report.pdf"],
    "channel_progress.py": [
        "log: no connection to the push service, next attempt in 0.",
        "connected: False no program listens at 127.0.0.1:",
        "IN_PROGRESS_RETRY, retry 1: no program listens at 127.0.0.1:",
        "the connection was refused [RPC_S_SERVER_UNAVAILABLE (0x800706BA)]",
        "the service comes back",
        "COMPLETED_FAILURE: no channel: ",
    ],
}


def test_every_example_is_tried() -> None:
    """No example is left to rot."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
async def test_an_example_runs(tmp_path: Path, name: str) -> None:
    """It does what it says, and complains about nothing."""
    with anyio.fail_after(30):
        done = await anyio.run_process(
            [sys.executable, "-W", "error", str(EXAMPLES / name), str(tmp_path)], check=False
        )
    output = done.stdout.decode()
    assert done.stderr.decode() == ""
    assert done.returncode == 0
    for line in EXPECTED[name]:
        assert line in output
