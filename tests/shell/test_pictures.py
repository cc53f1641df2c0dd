"""The policy of pictures: what lies where the user said is shown, and nothing that a sender points to else."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from tocsin.shell.pictures import MAX_BYTES, MAX_SIDE, PicturePolicy


def png(width: int = 8, height: int = 8) -> bytes:
    """Write the head of a PNG of this size."""
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">II", width, height) + b"\x08\x06\0\0\0"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of pictures, beside one that is none of the app's."""
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    for each in (allowed, other):
        each.mkdir()
        (each / "a b.png").write_bytes(png())
    return allowed


def test_files_in_the_folder_are_shown(folder: Path) -> None:
    """By their paths or URLs, in whatever spelling."""
    policy, path = PicturePolicy([folder]), str(folder / "a b.png")
    for source in (
        path,
        f"file://{path}",
        f"FILE://localhost{path}",
        f"file://{folder}/a%20b.png",
        f"{folder}/../allowed/a b.png",
    ):
        assert policy(source) == path
    (folder / "b.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(30))
    assert policy(str(folder / "b.jpg"))
    (folder / "link.png").symlink_to(folder / "a b.png")
    assert policy(str(folder / "link.png")) == path


def test_by_default_nothing_is_shown(folder: Path) -> None:
    """Nor looked at."""
    assert PicturePolicy()(str(folder / "a b.png")) == ""


@pytest.mark.parametrize(
    "source",
    [
        "",
        "a b.png",
        "http://127.0.0.1:1/a.png",
        "https://127.0.0.1:1/a.png",
        "ms-appx:///a.png",
        "ms-appdata:///local/a.png",
        "data:image/png;base64,AAAA",
        "file:a b.png",
        "file://elsewhere{folder}/a b.png",
        "{folder}/../other/a b.png",
        "file://{folder}/%2e%2e/other/a%20b.png",
        "{folder}/missing.png",
        "{folder}",
        "{folder}/nul\0.png",
        "{folder}/out.png",
        "{folder}/round.png",
        "{folder}/text.png",
        "{folder}/wide.png",
        "{folder}/high.png",
        "{folder}/none.png",
        "{folder}/big.png",
        "{folder}/short.png",
        "{folder}/pipe.png",
        "http://[",
    ],
)
def test_anything_else_is_not(folder: Path, source: str) -> None:
    """Outside of it, through links too; no file, no picture, too large, of the web, or no source at all."""
    (folder / "out.png").symlink_to(folder.parent / "other" / "a b.png")
    (folder / "round.png").symlink_to(folder / "round.png")
    (folder / "text.png").write_bytes(b"<svg>" + bytes(40))
    (folder / "wide.png").write_bytes(png(width=MAX_SIDE + 1))
    (folder / "high.png").write_bytes(png(height=2**31))
    (folder / "none.png").write_bytes(png(width=0))
    (folder / "short.png").write_bytes(png()[:20])
    with (folder / "big.png").open("wb") as file:
        file.write(png())
        file.truncate(MAX_BYTES + 1)
    os.mkfifo(folder / "pipe.png")
    assert PicturePolicy([folder])(source.format(folder=folder)) == ""
