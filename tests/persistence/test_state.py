"""A state folder: private, and held by one process at a time."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tocsin.persistence.state import state_folder
from tocsin.protocol.errors import StateUnavailable

HOLD = """
import signal, sys
from pathlib import Path
from tocsin.persistence.state import state_folder
with state_folder(Path(sys.argv[1])):
    print("held", flush=True)
    signal.pause()
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Name a folder that is not there yet."""
    return tmp_path / "apps" / "state"


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let the system give every permission that is asked for."""
    before = os.umask(0)
    yield
    os.umask(before)


def refusal(path: Path) -> str:
    """Try to hold what cannot be held, and return the sentence."""
    with pytest.raises(StateUnavailable) as refused, state_folder(path):
        pytest.fail("the folder was given out")
    return str(refused.value)


def mode(path: Path) -> int:
    """Return who may do what with it."""
    return stat.S_IMODE(path.stat().st_mode)


class TestFolder:
    """The folder itself."""

    def test_a_folder_that_is_missing_is_made_with_its_parents(self, state: Path) -> None:
        """Whoever holds it gets its path."""
        with state_folder(state) as held:
            assert held == state
            assert state.is_dir()

    @pytest.mark.usefixtures("open_umask")
    def test_a_folder_that_is_made_is_private(self, state: Path) -> None:
        """Nobody but its user may look into it, or read the files that mark it."""
        with state_folder(state):
            assert mode(state) == 0o700
            assert {mode(path) for path in state.iterdir()} == {0o600}

    def test_what_was_in_the_folder_stays(self, state: Path) -> None:
        """Holding and releasing touch nothing but their own marks."""
        state.mkdir(parents=True)
        (state / "kept").write_bytes(b"as it was")
        with state_folder(state):
            pass
        assert (state / "kept").read_bytes() == b"as it was"
        assert not (state / "owner").exists()


class TestOneHolder:
    """Who comes second."""

    def test_a_second_holder_is_refused_and_told_who_is_first(self, state: Path) -> None:
        """The sentence has the process id, and says what to do."""
        with state_folder(state):
            assert refusal(state) == (
                f"the state folder {state} is in use by process {os.getpid()}; give this one another --state"
            )

    def test_a_refusal_does_not_disturb_the_holder(self, state: Path) -> None:
        """The third is refused as the second was."""
        with state_folder(state):
            assert refusal(state) == refusal(state)

    def test_a_folder_can_be_held_again_when_it_was_released(self, state: Path) -> None:
        """Once after another is no conflict."""
        for _ in range(3):
            with state_folder(state):
                assert (state / "owner").read_text() == str(os.getpid())

    def test_a_failure_releases_the_folder(self, state: Path) -> None:
        """What was raised comes through, and the next one may hold."""
        with pytest.raises(KeyError), state_folder(state):
            raise KeyError("something else")
        with state_folder(state):
            pass

    def test_two_folders_do_not_know_each_other(self, tmp_path: Path) -> None:
        """One process may hold several."""
        with state_folder(tmp_path / "a"), state_folder(tmp_path / "b"):
            pass

    @pytest.mark.parametrize("mark", [None, b"", b"not a number", b"\xff"], ids=repr)
    def test_a_holder_without_a_name_is_still_a_holder(self, state: Path, mark: bytes | None) -> None:
        """In the moment before it has signed, or when its mark is damaged, it is another process."""
        state.mkdir(parents=True)
        if mark is not None:
            (state / "owner").write_bytes(mark)
        with FileLock(state / "lock", timeout=0):
            assert "is in use by another process; give" in refusal(state)

    def test_a_process_that_was_killed_holds_nothing(self, state: Path) -> None:
        """While it lives it is named; after kill -9 the folder is free, whatever marks it left."""
        command = [sys.executable, "-c", HOLD, str(state)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:  # noqa: S603  # our own program
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            assert f"in use by process {holder.pid};" in refusal(state)
            holder.send_signal(signal.SIGKILL)
            holder.wait()
        assert (state / "owner").read_text() == str(holder.pid)
        with state_folder(state):
            assert (state / "owner").read_text() == str(os.getpid())


class TestUnusable:
    """Places where no state can be."""

    def test_a_path_below_a_file_is_refused(self, tmp_path: Path) -> None:
        """The sentence names the path and says why."""
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "state"
        assert refusal(path) == f"the state folder {path} cannot be used: Not a directory"

    def test_a_file_is_no_folder(self, tmp_path: Path) -> None:
        """It is refused, and stays as it was."""
        (tmp_path / "file").write_bytes(b"as it was")
        assert refusal(tmp_path / "file") == f"the state folder {tmp_path / 'file'} cannot be used: File exists"
        assert (tmp_path / "file").read_bytes() == b"as it was"

    @pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="this system has no /proc, where nobody makes folders")
    def test_a_folder_that_cannot_be_made_is_refused(self) -> None:
        """The sentence says where."""
        assert "the state folder /proc/tocsin cannot be used: " in refusal(Path("/proc/tocsin"))

    @pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
    def test_a_folder_that_cannot_be_written_is_refused(self, tmp_path: Path) -> None:
        """It is not taken for a folder that somebody else holds."""
        tmp_path.chmod(0o500)
        assert refusal(tmp_path) == f"the state folder {tmp_path} cannot be used: Permission denied"
        tmp_path.chmod(0o700)

    def test_a_folder_that_cannot_be_signed_is_refused_and_not_held(self, state: Path) -> None:
        """Half of an acquisition is undone."""
        (state / "owner").mkdir(parents=True)
        assert refusal(state) == f"the state folder {state} cannot be written: Is a directory"
        (state / "owner").rmdir()
        with state_folder(state):
            pass
