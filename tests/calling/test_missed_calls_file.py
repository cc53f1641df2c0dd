"""The file of missed calls: private, of one app, and never half written."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tocsin.calling.missed_calls_file import MissedCallsFile
from tocsin.protocol.errors import StateUnavailable


def test_what_one_process_has_told_another_knows(tmp_path: Path) -> None:
    """Of the same app only; the file is its user's alone, and nothing else is left beside it."""
    folder = tmp_path / "made"
    assert "A" not in MissedCallsFile(folder, "contoso.phone").load()
    MissedCallsFile(folder, "contoso.phone").note("A")
    MissedCallsFile(folder, "contoso.phone").note("B")
    assert all(call in MissedCallsFile(folder, "contoso.phone").load() for call in "AB")
    assert "A" not in MissedCallsFile(folder, "contoso.mail").load()
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_file_that_is_none_is_said_and_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A call may then be told of once more, which is better than not at all."""
    file = MissedCallsFile(tmp_path, "contoso.phone")
    file.note("A")
    next(tmp_path.iterdir()).write_bytes(b"rubbish")
    file.note("B")
    assert "A" not in file.load()
    assert "B" in file.load()
    assert "is not what was written" in caplog.text


def test_a_file_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    """A link in its place is not followed; a folder in its place is no file."""
    file = MissedCallsFile(tmp_path, "contoso.phone")
    file.note("A")
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateUnavailable, match="cannot be read"):
        file.note("B")
    (tmp_path / "in the way").write_bytes(b"")
    with pytest.raises(StateUnavailable):
        MissedCallsFile(tmp_path / "in the way", "contoso.phone").note("B")
