"""The id of the device: made once, private, and the same for all processes of an app."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from threading import Thread

import pytest

from tocsin.calling.device_id import DeviceId
from tocsin.protocol.errors import StateUnavailable


def test_it_is_made_once_and_for_its_user_alone(tmp_path: Path) -> None:
    """32 hexadecimal characters, in a file that no other user can read, in a folder that no other user can enter."""
    folder = tmp_path / "state" / "calling"
    made = DeviceId(folder, "contoso.phone").read_or_make()
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert DeviceId(folder, "contoso.phone").read_or_make() == made
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "contoso" not in file.name


def test_each_app_is_an_endpoint_of_its_own(tmp_path: Path) -> None:
    """Two apps of one user do not displace each other."""
    assert DeviceId(tmp_path, "one").read_or_make() != DeviceId(tmp_path, "two").read_or_make()


def test_processes_that_make_it_at_once_agree(tmp_path: Path) -> None:
    """The process that comes second finds what the first has made."""
    found: list[str] = []
    threads = [Thread(target=lambda: found.append(DeviceId(tmp_path, "app").read_or_make())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"cut sho", b"0" * 33, b"\xff" * 32, b"G" * 32])
def test_a_file_that_holds_no_id_is_replaced(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The device is another one from then on, which the log says."""
    device = DeviceId(tmp_path, "app")
    device.read_or_make()
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    made = device.read_or_make()
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert device.read_or_make() == made
    assert caplog.text.count("another id") == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A folder that is a file, and a file that is a link."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnavailable, match="cannot be read or written"):
        DeviceId(tmp_path / "file", "app").read_or_make()
    DeviceId(tmp_path / "state", "app").read_or_make()
    (file,) = (tmp_path / "state").iterdir()
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateUnavailable):
        DeviceId(tmp_path / "state", "app").read_or_make()
