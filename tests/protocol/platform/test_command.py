"""The command of an app: what it may hold, how it is stored and shown, and which variables it keeps."""

from __future__ import annotations

import shlex
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import FrameError, InvalidArgument
from tocsin.protocol.messages import Launch
from tocsin.protocol.messages.codec import decode, encode
from tocsin.protocol.platform.command import KEPT, MAX_MEMORY, MAX_PACKED, MAX_VARIABLES, MAX_WORDS, Command, kept

AWKWARD = (b"/opt/a b/run", b"", b"it's", b'"', b"two\nlines", b"\xff\xfe", b"$HOME; rm -rf *", "ü".encode())
COMMAND = Command(AWKWARD, b"/home/a b", (b"PATH=/bin", b"LANG=", b"LC_ALL=a=b"))

without_nul = st.binary(max_size=20).map(lambda each: each.replace(b"\0", b""))


def refusal(words: tuple[bytes, ...] = (b"/a",), folder: bytes = b"/", environment: tuple[bytes, ...] = ()) -> str:
    """Return the sentence with which a command is refused."""
    with pytest.raises(InvalidArgument) as refused:
        Command(words, folder, environment)
    return str(refused.value)


class TestCommand:
    """What a command may hold."""

    def test_its_program_and_folder_are_paths_from_the_root(self) -> None:
        """So it does not matter where the agent runs, and what its PATH is."""
        assert "the path of its program" in refusal(())
        assert "the path of its program" in refusal((b"python", b"/a"))
        assert "the path of its program" in refusal((b"",))
        assert "working folder" in refusal(folder=b"here")

    def test_what_no_system_can_start_is_refused(self) -> None:
        """A NUL ends a word, and a variable has a name."""
        assert "NUL" in refusal((b"/a", b"b\0c"))
        assert "NUL" in refusal(folder=b"/\0")
        assert "NUL" in refusal(environment=(b"A=\0",))
        for entry in (b"", b"A", b"=A"):
            assert "NAME=value" in refusal(environment=(entry,))

    def test_it_is_bounded(self) -> None:
        """In words, in variables and in bytes."""
        Command((b"/a",) * MAX_WORDS, b"/", (b"A=",) * MAX_VARIABLES)
        assert "at most 1024 words" in refusal((b"/a",) * (MAX_WORDS + 1))
        assert "1024 variables" in refusal(environment=(b"A=",) * (MAX_VARIABLES + 1))
        assert f"at most {MAX_PACKED} bytes" in refusal((b"/" + bytes(MAX_PACKED).replace(b"\0", b"a"),))

    def test_a_limit_of_memory_is_a_number_of_bytes(self) -> None:
        """It is stored where there is one, and what was stored before has none."""
        limited = Command((b"/a",), b"/", (), 10**9)
        assert Command.unpack(limited.pack()) == limited != Command((b"/a",), b"/", ())
        assert msgpack.unpackb(Command((b"/a",), b"/", ()).pack()) == [[b"/a"], b"/", []]
        for wrong in (-1, MAX_MEMORY + 1):
            with pytest.raises(InvalidArgument, match="limit of memory"):
                Command((b"/a",), b"/", (), wrong)

    def test_the_largest_has_room_in_a_frame(self) -> None:
        """An app can tell any command that it may have, and the agent any that it was told."""
        around = len(Command((b"/" + b"a" * 1000,), b"/", ()).pack()) - 1000
        largest = Command((b"/" + b"a" * (MAX_PACKED - around),), b"/", ())
        assert len(largest.pack()) == MAX_PACKED
        launch = Launch("a" * 1000, 2**63, 2**63, largest.pack())
        assert decode(encode(launch)) == launch


class TestPack:
    """A command on its way to the store and back."""

    def test_nothing_is_falsified(self) -> None:
        """Not spaces, quotes and line ends, nor bytes that are no text, nor empty words."""
        assert Command.unpack(COMMAND.pack()) == COMMAND

    @given(st.lists(without_nul, max_size=5), without_nul, st.lists(without_nul, max_size=5))
    def test_any_command_comes_back(self, words: list[bytes], folder: bytes, values: list[bytes]) -> None:
        """Whatever bytes it has."""
        command = Command((b"/a", *words), b"/" + folder, tuple(b"A=" + value for value in values))
        assert Command.unpack(command.pack()) == command

    @pytest.mark.parametrize(
        "values",
        [
            None,
            [],
            [[b"/a"], b"/"],
            [[b"/a"], b"/", [], []],
            [[b"/a"], b"/", [], -1],
            [[b"/a"], b"/", [], True],
            [[b"/a"], b"/", [], 1, 1],
            [["/a"], b"/", []],
            [[b"/a"], "/", []],
            [b"/a", b"/", []],
            [[b"/a"], b"/", b""],
            [[b"/a"], b"/", ["A=b"]],
            [[b"/a"], b"/", {}],
            [[b"a"], b"/", []],
            [[b"/a"] * (MAX_WORDS + 1), b"/", []],
        ],
    )
    def test_another_shape_is_refused(self, values: Any) -> None:
        """A command from outside is one, or nothing."""
        with pytest.raises(FrameError, match="not a packed command"):
            Command.unpack(msgpack.packb(values))

    @given(st.binary(max_size=60))
    def test_other_bytes_are_refused(self, blob: bytes) -> None:
        """Whatever they are, the error is one."""
        with pytest.raises(FrameError):
            Command.unpack(b"\x93" + blob[:50])

    def test_too_many_bytes_are_not_looked_at(self) -> None:
        """Nor what comes behind the end."""
        with pytest.raises(FrameError, match="longer than"):
            Command.unpack(bytes(MAX_PACKED + 1))
        with pytest.raises(FrameError):
            Command.unpack(COMMAND.pack() + b"\x00")


class TestText:
    """A command as it is shown."""

    def test_it_could_be_typed(self) -> None:
        """What is plain text is quoted as a shell wants it."""
        words = [b"/bin/a b", b"it's", b"", b"$HOME", b"x"]
        assert shlex.split(Command(tuple(words), b"/", ()).text()) == [word.decode() for word in words]

    def test_it_is_one_harmless_line(self) -> None:
        """Line ends, control characters and bytes that are no text are shown as escapes."""
        shown = Command((b"/a", b"\x1b[2J\n", b"\xff"), b"/", ()).text()
        assert shown.isprintable()
        assert shown == r"/a '\x1b[2J\n' '\xff'"

    def test_it_is_bounded(self) -> None:
        """A huge command does not fill the log."""
        assert len(Command((b"/" + b"a" * 5000,), b"/", ()).text(40)) == 40


class TestKept:
    """The variables that are kept."""

    def test_what_a_program_needs_of_its_session_is_kept(self) -> None:
        """In the order of names, so that the same environment is stored the same."""
        names = (
            b"PATH HOME LC_TIME XDG_RUNTIME_DIR PYTHONPATH PYTHON_KEYRING_BACKEND no_proxy HTTPS_PROXY DISPLAY".split()
        )
        assert kept(dict.fromkeys(names, b"x=\xff")) == tuple(name + b"=x=\xff" for name in sorted(names))
        assert {b"http_proxy", b"HTTP_PROXY", b"DBUS_SESSION_BUS_ADDRESS", b"VIRTUAL_ENV", b"SSL_CERT_FILE"} <= KEPT

    @pytest.mark.parametrize(
        "name",
        [
            "AWS_SECRET_ACCESS_KEY",
            "GITHUB_TOKEN",
            "XDG_ACTIVATION_TOKEN",
            "PYTHON_PASSWORD",
            "LC_Api_Key",
            "SSH_AUTH_SOCK",
            "LISTEN_FDS",
            "NOTIFY_SOCKET",
            "TOCSIN_SOCKET",
            "TOCSIN_CLIENT_SECRET",
            "LD_PRELOAD",
            "PS1",
            "path",
        ],
    )
    def test_what_is_secret_or_another_process_s_is_not(self, name: str) -> None:
        """Tokens, keys, and what was handed to just that process."""
        assert kept({name.encode(): b"x"}) == ()
