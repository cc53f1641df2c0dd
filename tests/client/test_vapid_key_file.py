"""Where a sender's key comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.client.vapid_key_file import read_key
from tocsin.protocol.errors import InvalidArgument
from tocsin.webpush.vapid_keys import VapidKey

KEY = VapidKey.from_text("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")


def test_a_key_is_itself_or_its_text() -> None:
    """PEM may have blank lines around it, as in a setting."""
    assert read_key(KEY) is KEY
    assert read_key(f"\n{KEY.pem()}\n").public_key == KEY.public_key


@pytest.mark.parametrize("content", [KEY.pem(), f"# mine\n{KEY.pem()}", KEY.text(), f"{KEY.text()}\n"])
def test_a_key_is_read_from_a_file(tmp_path: Path, content: str) -> None:
    """As PEM, or as the number that other libraries keep."""
    (tmp_path / "key").write_text(content, encoding="ascii")
    assert read_key(tmp_path / "key").public_key == read_key(str(tmp_path / "key")).public_key == KEY.public_key


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "32 bytes"),
        (b"secret", "32 bytes"),
        (b"\xff" * 43, "text of a few lines"),
        (b"A" * 100_000, "text of a few lines"),
        (b"-----BEGIN PRIVATE KEY-----\nsecret", "begins with"),
    ],
)
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    """In words that do not show what it has."""
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(InvalidArgument, match=words) as refused:
        read_key(tmp_path / "key")
    assert "secret" not in str(refused.value)
    assert str(tmp_path / "key") in str(refused.value)


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_what_is_no_path_is_refused(path: str) -> None:
    """It is a sentence, too."""
    with pytest.raises(InvalidArgument, match="cannot be read"):
        read_key(path)
