"""Private files of an app, and their folder; what each remembers is tested with what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.private_file import folder_of, read_private, write_private
from tocsin.protocol.errors import InvalidArgument


def test_the_folder_is_the_users_unless_another_is_named(tmp_path: Path) -> None:
    """What cannot be a path is an argument that cannot be right."""
    assert folder_of(None, "calling").parts[-2:] == ("tocsin", "calling")
    assert folder_of(tmp_path, "calling") == tmp_path
    assert folder_of("~/calls", "calling") == Path.home() / "calls"
    for wrong in ("", "a\0b", 5, "~no-user-of-that-name/calls"):
        with pytest.raises(InvalidArgument):
            folder_of(wrong, "calling")  # type: ignore[arg-type]


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    """And nothing is left beside it."""
    path = tmp_path / "made" / "file"
    assert read_private(path, 9) is None
    write_private(path, b"first", over=False)
    write_private(path, b"second", over=False)
    assert read_private(path, 9) == b"first"
    write_private(path, b"third")
    assert read_private(path, 2) == b"th"
    assert list(path.parent.iterdir()) == [path]
