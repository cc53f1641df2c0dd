"""The secrets that are kept as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

import tocsin
from tocsin.api.kept_secrets import keep_secret, kept_secrets


def test_each_app_has_its_own(tmp_path: Path) -> None:
    """The latest counts; the file is for the user alone."""
    assert kept_secrets(tmp_path) == {}
    for app, secret in (("one", "1"), ("two", "2"), ("one", "3")):
        keep_secret(tmp_path, app, secret)
    assert kept_secrets(tmp_path) == {"one": "3", "two": "2"}
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"[]", b'{"app": 1}', b"\xff", b" " * 100_000])
def test_what_is_no_such_file_keeps_none(tmp_path: Path, content: bytes) -> None:
    """And is replaced by one."""
    (tmp_path / "secrets.json").write_bytes(content)
    assert kept_secrets(tmp_path) == {}
    keep_secret(tmp_path, "app", "secret")
    assert kept_secrets(tmp_path) == {"app": "secret"}


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """What it leads to is another's."""
    (tmp_path / "others.json").write_text('{"app": "theirs"}')
    (tmp_path / "secrets.json").symlink_to(tmp_path / "others.json")
    assert kept_secrets(tmp_path) == {}
    keep_secret(tmp_path, "app", "ours")
    assert (tmp_path / "others.json").read_text() == '{"app": "theirs"}'


def test_it_stays_bounded(tmp_path: Path) -> None:
    """Where there are too many, the older ones go."""
    for number in range(3):
        keep_secret(tmp_path, f"app {number}", "x" * 30_000)
    assert list(kept_secrets(tmp_path)) == ["app 2"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """In a sentence."""
    (tmp_path / "file").touch()
    with pytest.raises(tocsin.StateUnavailable, match=r"secrets\.json cannot be written"):
        keep_secret(tmp_path / "file", "app", "secret")
