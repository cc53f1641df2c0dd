"""Sockets that a launcher passes, and what it is told."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform import service_manager as law
from tocsin.transport.service_manager import ServiceManager

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no Unix sockets")

FIRST = 200
"""The first descriptor that is passed here: the test's own begin at 3."""

Pass: TypeAlias = Callable[..., dict[str, str]]


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pass]:
    """Pass descriptors as a launcher does, and return the environment that says so."""
    monkeypatch.setattr(law, "FIRST_PASSED", FIRST)
    passed: list[int] = []

    def pass_on(*sources: int, names: str = "") -> dict[str, str]:
        for place, source in enumerate(sources, FIRST):
            assert fcntl.fcntl(source, fcntl.F_DUPFD, place) == place
            passed.append(place)
        found = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(sources)), "HOME": "/"}
        return found | ({"LISTEN_FDNAMES": names} if names else {})

    yield pass_on
    for each in passed:
        if is_open(each):
            os.close(each)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    """Listen for apps of this user."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "agent.sock"))
        (tmp_path / "agent.sock").chmod(0o600)
        made.listen()
        yield made


def is_open(descriptor: int) -> bool:
    """Tell whether a descriptor leads anywhere."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


class TestInherited:
    """The socket for apps."""

    def test_it_is_taken_and_hidden_from_children(self, passing: Pass, listener: socket.socket) -> None:
        """Neither a variable nor the descriptor reaches a process that is started later."""
        environment = passing(listener.fileno())
        with ServiceManager.take(environment) as manager:
            assert manager.inherited is not None
            assert manager.inherited.getsockname() == listener.getsockname()
            assert not os.get_inheritable(FIRST)
            assert environment == {"HOME": "/"}
        assert not is_open(FIRST)

    def test_that_of_another_process_is_left_alone(self, passing: Pass, listener: socket.socket) -> None:
        """But the variables do not go on."""
        environment = passing(listener.fileno()) | {"LISTEN_PID": "1"}
        with ServiceManager.take(environment) as manager:
            assert manager.inherited is None
        assert is_open(FIRST)
        assert environment == {"HOME": "/"}

    def test_of_several_the_one_for_apps_is_kept(self, passing: Pass, listener: socket.socket) -> None:
        """The others are closed."""
        with socket.socket() as other:
            environment = passing(other.fileno(), listener.fileno(), names="web:agent")
            with ServiceManager.take(environment) as manager:
                assert manager.inherited is not None
                assert manager.inherited.fileno() == FIRST + 1
                assert not is_open(FIRST)

    @pytest.mark.parametrize("mode", [0o666, 0o660, 0o602])
    def test_one_that_others_may_open_is_refused(
        self, passing: Pass, listener: socket.socket, mode: int, tmp_path: Path
    ) -> None:
        """They could read what is pushed to this user."""
        (tmp_path / "agent.sock").chmod(mode)
        with pytest.raises(InvalidArgument, match=rf"other users may open \(.*mode {mode:04o}\); 0600 is right"):
            ServiceManager.take(passing(listener.fileno()))
        assert not is_open(FIRST)

    def test_one_whose_path_leads_elsewhere_is_refused(
        self, passing: Pass, listener: socket.socket, tmp_path: Path
    ) -> None:
        """No app would find it."""
        (tmp_path / "agent.sock").unlink()
        with pytest.raises(InvalidArgument, match="apps cannot reach"):
            ServiceManager.take(passing(listener.fileno()))
        (tmp_path / "agent.sock").touch(0o600)
        with pytest.raises(InvalidArgument, match="another file has replaced"):
            ServiceManager.take(passing(listener.fileno()))

    @pytest.mark.parametrize(
        ("make", "word"),
        [
            (lambda: socket.socket(type=socket.SOCK_DGRAM), r"another kind \(AF_INET, SOCK_DGRAM\)"),
            (lambda: socket.create_server(("127.0.0.1", 0)), r"another kind \(AF_INET, SOCK_STREAM\)"),
            (lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), "another kind"),
            (lambda: socket.socket(socket.AF_UNIX), "does not listen, such as one connection"),
            (lambda: open(os.devnull, "rb"), "is no socket"),  # noqa: PTH123, SIM115  # the test closes it
        ],
    )
    def test_what_is_of_another_kind_is_refused_by_its_kind(
        self, passing: Pass, make: Callable[[], socket.socket], word: str
    ) -> None:
        """The sentence says what would be right."""
        with make() as wrong, pytest.raises(InvalidArgument, match=word):
            ServiceManager.take(passing(wrong.fileno()))

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract names")
    def test_one_without_a_path_is_refused(self, passing: Pass) -> None:
        """Every user could connect."""
        with socket.socket(socket.AF_UNIX) as abstract:
            abstract.bind(f"\0tocsin-test-{os.getpid()}")
            abstract.listen()
            with pytest.raises(InvalidArgument, match="every user can reach"):
                ServiceManager.take(passing(abstract.fileno()))

    @pytest.mark.usefixtures("passing")
    def test_one_that_is_not_open_is_refused(self) -> None:
        """A launcher has closed it too early."""
        with pytest.raises(InvalidArgument, match="descriptor 200, which is not open"):
            ServiceManager.take({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})


class TestNotes:
    """What the manager is told."""

    @pytest.mark.parametrize(
        "abstract",
        [
            False,
            pytest.param(
                True, marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract names")
            ),
        ],
    )
    def test_it_hears_of_start_life_and_end(self, tmp_path: Path, abstract: bool) -> None:
        """One datagram for each."""
        name = f"tocsin-notes-{os.getpid()}" if abstract else str(tmp_path / "notes")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind("\0" + name if abstract else name)
            manager.settimeout(5)
            environment = {"NOTIFY_SOCKET": "@" + name if abstract else name, "WATCHDOG_USEC": "10000000"}
            with ServiceManager.take(environment) as found:
                assert (found.watchdog, environment) == (10.0, {})
                found.tell_ready("it serves")
                found.tell_alive()
                found.tell_stopping()
            heard = [manager.recv(4096) for _ in range(3)]
        assert heard == [b"READY=1\nSTATUS=it serves", b"WATCHDOG=1", b"STOPPING=1"]

    def test_one_that_is_gone_is_said_once(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """The process goes on."""
        caplog.set_level(logging.WARNING)
        with ServiceManager.take({"NOTIFY_SOCKET": str(tmp_path / "gone")}) as manager:
            manager.tell_ready("it serves")
            manager.tell_alive()
        assert [each.getMessage().split(":")[0] for each in caplog.records] == [
            "the service manager does not hear this process"
        ]

    def test_without_a_manager_nothing_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        """Nor said."""
        with ServiceManager.take({}) as manager:
            manager.tell_ready("it serves")
            assert (manager.inherited, manager.watchdog) == (None, None)
        assert not caplog.records
