"""A state folder: private, and held by one process at a time."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.errors import StateUnavailable

HOLD = """
import signal, sys
from pathlib import Path
from tocsin.persistence.state_folder import state_folder
with state_folder(Path(sys.argv[1])):
    print("held", flush=True)
    signal.pause()
"""

FORK = """
import os, signal, sys
from pathlib import Path
from tocsin.persistence.state_folder import state_folder
with state_folder(Path(sys.argv[1])):
    if not os.fork():
        print(os.getpid(), flush=True)
    signal.pause()
"""

AS_OTHER_USER = """
import os, sys
from pathlib import Path
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.errors import StateUnavailable
os.setgid(65534)
os.setuid(65534)
try:
    with state_folder(Path(sys.argv[1])):
        print("held")
except StateUnavailable as refused:
    print(refused)
"""
OTHER_USER = 65534


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
    """Try to hold what cannot be held, without waiting for what has died, and return the sentence."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tocsin.persistence.state_folder._DYING", 0.0)
        with pytest.raises(StateUnavailable) as refused, state_folder(path):
            pytest.fail("the folder was given out")
    return str(refused.value)


def mode(path: Path) -> int:
    """Return who may do what with it."""
    return stat.S_IMODE(path.stat().st_mode)


class TestFolder:
    """The folder itself."""

    def test_a_folder_that_is_missing_is_made_with_its_parents(self, state: Path) -> None:
        """The context manager gives its path."""
        with state_folder(state) as held:
            assert held == state
            assert state.is_dir()

    @pytest.mark.usefixtures("open_umask")
    def test_a_folder_that_is_made_is_private(self, state: Path) -> None:
        """Only its user may list it, or read the files in it."""
        with state_folder(state):
            assert mode(state) == 0o700
            assert {mode(path) for path in state.iterdir()} == {0o600}

    def test_what_was_in_the_folder_stays(self, state: Path) -> None:
        """Holding and releasing touch nothing but their own marks."""
        state.mkdir(mode=0o700, parents=True)
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
        with state_folder(state):
            (state / "owner").unlink()
            if mark is not None:
                (state / "owner").write_bytes(mark)
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

    @pytest.mark.skipif(sys.platform == "win32", reason="files that are open cannot be deleted there")
    def test_whatever_is_deleted_in_a_folder_it_stays_held(self, state: Path) -> None:
        """It is the folder that is held: no file in it whose loss would let in a second process."""
        with state_folder(state):
            (state / "lock").touch()  # as earlier versions had it
            for file in state.iterdir():
                file.unlink()
            assert "is in use by another process" in refusal(state)

    def test_the_same_folder_by_another_name_is_held(self, state: Path) -> None:
        """A link to it, or a new name of it, leads to the same."""
        with state_folder(state):
            link = state.with_name("link")
            link.symlink_to(state)
            assert f"in use by process {os.getpid()}" in refusal(link)
            moved = state.rename(state.with_name("moved"))
            assert f"in use by process {os.getpid()}" in refusal(moved)

    def test_a_folder_in_the_place_of_one_that_was_moved_is_another(self, state: Path) -> None:
        """It may be held, and the end of the first holder takes nothing away from the second."""
        with state_folder(state):
            state.rename(state.with_name("moved"))
            state.mkdir(mode=0o700)
            (state / "owner").write_text("1")
        assert (state / "owner").read_text() == "1"

    @pytest.mark.skipif(sys.platform == "win32", reason="a lock is not handed down there")
    def test_what_a_dead_process_has_left_locked_is_waited_for(self, state: Path) -> None:
        """What it was starting has its lock until it is another program: a moment, and no reason to refuse the folder."""
        with subprocess.Popen([sys.executable, "-c", ""]) as dead:  # our own program
            pass
        command = [sys.executable, "-c", HOLD, str(state)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as heir:  # noqa: S603  # our own program
            assert heir.stdout is not None
            assert heir.stdout.readline() == "held\n"
            (state / "owner").write_text(str(dead.pid))
            end = threading.Timer(0.2, heir.kill)
            end.start()
            with state_folder(state):
                assert heir.wait() == -signal.SIGKILL
            end.join()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
    def test_a_forked_child_holds_nothing(self, state: Path) -> None:
        """A worker that outlives the process which held the folder does not keep the next one out."""
        command = [sys.executable, "-c", FORK, str(state)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:  # noqa: S603  # our own program
            assert holder.stdout is not None
            child = int(holder.stdout.readline())
            try:
                assert f"in use by process {holder.pid};" in refusal(state)
                holder.send_signal(signal.SIGKILL)
                holder.wait()
                with state_folder(state):
                    os.kill(child, 0)
            finally:
                os.kill(child, signal.SIGKILL)


@pytest.mark.skipif(sys.platform == "win32", reason="who may do what, access control lists say there")
class TestPrivate:
    """Who else may look into the folder, or put something there."""

    @pytest.mark.parametrize("bits", [0o777, 0o1777, 0o720, 0o702, 0o775])
    def test_a_folder_that_others_may_write_is_refused(self, state: Path, bits: int) -> None:
        """They could put their own database there; the sentence says what to do, and then it is right."""
        state.mkdir(parents=True)
        state.chmod(bits)
        sentence = f"the state folder {state} may be written by other users (mode {bits:04o}); chmod 700 {state}"
        assert refusal(state) == sentence
        assert list(state.iterdir()) == []
        state.chmod(0o700)
        with state_folder(state):
            pass

    @pytest.mark.parametrize("bits", [0o755, 0o750, 0o701])
    def test_a_folder_that_others_may_read_is_said_once(
        self, state: Path, bits: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The files in it are private all the same."""
        state.mkdir(parents=True)
        state.chmod(bits)
        with state_folder(state):
            assert {mode(path) for path in state.iterdir()} == {0o600}
        sentence = f"the state folder {state} may be read by other users (mode {bits:04o}); chmod 700 {state}"
        assert caplog.messages == [sentence]

    def test_a_private_folder_is_not_worth_a_word(self, state: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Neither when it is made, nor later."""
        for _ in range(2):
            with state_folder(state):
                pass
        assert caplog.messages == []

    @pytest.mark.parametrize("dangling", [True, False])
    def test_the_mark_is_not_written_through_a_link(self, state: Path, tmp_path: Path, *, dangling: bool) -> None:
        """What the link leads to is as it was, also under a hard link."""
        victim = tmp_path / "victim"
        if not dangling:
            victim.write_text("as it was")
        state.mkdir(mode=0o700, parents=True)
        (state / "owner").symlink_to(victim)
        with state_folder(state):
            assert (state / "owner").read_text() == str(os.getpid())
            assert not (state / "owner").is_symlink()
        if dangling:
            assert not victim.exists()
        else:
            (state / "owner").hardlink_to(victim)
            with state_folder(state):
                pass
            assert victim.read_text() == "as it was"

    def test_a_pipe_in_place_of_the_mark_is_not_waited_for(self, state: Path) -> None:
        """Neither by who holds the folder, nor by who wants to know who does."""
        state.mkdir(mode=0o700, parents=True)
        os.mkfifo(state / "owner")
        with state_folder(state):
            (state / "owner").unlink()
            os.mkfifo(state / "owner")
            assert "is in use by another process" in refusal(state)

    @pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only the superuser can become another")
    def test_a_folder_of_another_user_is_for_its_owner_and_the_superuser(self) -> None:
        """The superuser may register an app before the service's own user has started it, who can go on then."""
        with TemporaryDirectory() as folder:
            os.chmod(folder, 0o711)  # noqa: PTH101, S103  # so that others get through to what is in it
            theirs, ours = Path(folder) / "theirs", Path(folder) / "ours"
            for path, owner in ((theirs, OTHER_USER), (ours, 0)):
                path.mkdir(mode=0o700)
                os.chown(path, owner, owner)
            with state_folder(theirs):
                pass
            for path in (ours, ours / "in it"):
                assert self._as_other_user(path) == (
                    f"the state folder {path} cannot be used: this user (id {OTHER_USER}) has no right to it (Permission denied);"
                    " give another --state"
                )
            ours.chmod(0o755)
            assert self._as_other_user(theirs) == "held"
            assert self._as_other_user(ours) == (
                f"the state folder {ours} belongs to another user (id 0, this is {OTHER_USER});"
                f" give another --state, or change its owner: chown -R {OTHER_USER} {ours}"
            )

    @staticmethod
    def _as_other_user(path: Path) -> str:
        command = [sys.executable, "-c", AS_OTHER_USER, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # our own program
        return done.stdout.strip()


class TestUnusable:
    """Places where no state can be."""

    def test_a_path_below_a_file_is_refused(self, tmp_path: Path) -> None:
        """The sentence names the path and says why."""
        (tmp_path / "file").touch()
        path = tmp_path / "file" / "state"
        assert (
            refusal(path)
            == f"the state folder {path} cannot be used: {tmp_path / 'file'} is a file, and no folder; give another --state"
        )

    def test_a_file_is_no_folder(self, tmp_path: Path) -> None:
        """It is refused, and stays as it was."""
        (tmp_path / "file").write_bytes(b"as it was")
        file = tmp_path / "file"
        assert (
            refusal(file)
            == f"the state folder {file} cannot be used: {file} is a file, and no folder; give another --state"
        )
        assert (tmp_path / "file").read_bytes() == b"as it was"

    @pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="this system has no /proc, where no folder can be made")
    def test_a_folder_that_cannot_be_made_is_refused(self) -> None:
        """The sentence says where."""
        assert "the state folder /proc/tocsin cannot be used: " in refusal(Path("/proc/tocsin"))

    @pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
    def test_a_folder_that_cannot_be_written_is_refused(self, tmp_path: Path) -> None:
        """The error says that it cannot be written, not that another process holds it."""
        tmp_path.chmod(0o500)
        assert (
            refusal(tmp_path)
            == f"the state folder {tmp_path} cannot be written: Permission denied; give another --state"
        )
        tmp_path.chmod(0o700)

    def test_a_folder_that_cannot_be_signed_is_refused_and_not_held(self, state: Path) -> None:
        """Half of an acquisition is undone."""
        state.mkdir(mode=0o700, parents=True)
        (state / "owner").mkdir()
        assert refusal(state) == f"the state folder {state} cannot be written: Is a directory; give another --state"
        (state / "owner").rmdir()
        with state_folder(state):
            pass
