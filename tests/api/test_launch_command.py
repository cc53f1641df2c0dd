"""The command that an app is started with again: its own, or the one that it gives."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tocsin.api.launch_command import command_of_app
from tocsin.protocol.errors import InvalidArgument, NotSupported
from tocsin.protocol.platform.command import Command, kept

PYTHON = os.path.abspath(sys.executable)  # noqa: PTH100  # as the link of the environment, which is not followed


def refusal(command: Any = None) -> str:
    """Return the sentence with which a command is refused."""
    with pytest.raises(InvalidArgument) as refused:
        command_of_app(command)
    return str(refused.value)


def executable(path: Path) -> Path:
    """Write a program."""
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o700)
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of one's own, with a script."""
    (tmp_path / "app.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def started(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    """Have this process started with these words."""
    monkeypatch.setattr(sys, "orig_argv", list(words))


class TestOwn:
    """Without a command, the words that the process was started with."""

    @pytest.mark.parametrize(
        "words",
        [
            ["app.py"],
            ["app.py", "-c", "", "a b"],
            ["-X", "dev", "-Wdefault", "app.py"],
            ["-BX", "dev", "-W", "error", "app.py"],
            ["--check-hash-based-pycs", "always", "-E", "app.py"],
            ["-m", "package", "-i"],
            ["-Im", "package"],
            ["."],
        ],
    )
    def test_a_script_or_a_module_starts_again(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
    ) -> None:
        """With the interpreter's options and its own, in the folder of now."""
        started(monkeypatch, "python", *words)
        command = command_of_app()
        assert command.words == (PYTHON.encode(), *(word.encode() for word in words))
        assert command.folder == bytes(folder)
        assert command.environment == kept(os.environb)

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["-c", "pass"], "-c"),
            (["-Ic", "pass"], "-c"),
            (["-X", "dev", "-cpass"], "-c"),
            ([], "standard input"),
            (["-"], "standard input"),
            (["-W", "error", "-B"], "standard input"),
            (["elsewhere.py"], "not in the working folder"),
        ],
    )
    def test_what_does_not_start_again_asks_for_a_command(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], reason: str
    ) -> None:
        """Code that is in no file, and a script that was started in another folder."""
        assert folder.is_dir()
        started(monkeypatch, "python", *words)
        assert reason in refusal()
        assert "command=" in refusal()

    @pytest.mark.parametrize(("place", "name"), [(sys, "ps1"), (builtins, "__IPYTHON__")])
    def test_an_interactive_session_asks_for_a_command(
        self, monkeypatch: pytest.MonkeyPatch, place: Any, name: str
    ) -> None:
        """Python's and IPython's."""
        monkeypatch.setattr(place, name, ">>> ", raising=False)
        assert "interactive session" in refusal()
        assert "command=" in refusal()

    def test_a_notebook_asks_for_a_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its kernel is not the app."""
        monkeypatch.setitem(sys.modules, "ipykernel", sys)
        assert "notebook" in refusal()

    @pytest.mark.parametrize(("name", "value"), [("orig_argv", []), ("executable", "")])
    def test_an_embedded_interpreter_asks_for_a_command(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: Any
    ) -> None:
        """It was not started with words, or is not a program."""
        monkeypatch.setattr(sys, name, value)
        assert "not known how" in refusal()
        assert "command=" in refusal()

    def test_a_frozen_program_has_no_options_of_the_interpreter(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its words are all its own."""
        program = executable(folder / "app")
        monkeypatch.setattr(sys, "frozen", True, raising=False)
        monkeypatch.setattr(sys, "executable", str(program))
        started(monkeypatch, "./app", "-c")
        assert command_of_app().words == (bytes(program), b"-c")

    @pytest.mark.parametrize("claim", ["----tocsin-push:abc", "----tocsin-toast:abc"])
    def test_a_launched_process_leaves_its_claim_out(
        self, claim: str, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The next one has another."""
        assert folder.is_dir()
        started(monkeypatch, "python", "app.py", "-v", claim)
        assert command_of_app().words == (PYTHON.encode(), b"app.py", b"-v")

    def test_a_real_script_starts_again(self, folder: Path) -> None:
        """What it registers runs it, whatever bytes its arguments have."""
        (folder / "app.py").write_text(
            "import sys; from tocsin.api.launch_command import command_of_app\n"
            "sys.stdout.buffer.write(command_of_app().pack())",
            encoding="utf-8",
        )
        words: list[str | bytes] = [PYTHON, "-B", "app.py", b"\xff\n'", ""]
        first = subprocess.run(words, check=True, capture_output=True).stdout  # noqa: S603  # it is this interpreter
        assert Command.unpack(first).words == tuple(map(os.fsencode, words))


class TestGiven:
    """A command that the app gives."""

    def test_a_program_is_found_in_the_path(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As it is now, also by a relative entry."""
        program = executable(folder / "prog")
        monkeypatch.setenv("PATH", str(folder))
        assert command_of_app(["prog", b"\xff", Path("a b"), ""]).words == (bytes(program), b"\xff", b"a b", b"")
        monkeypatch.setenv("PATH", ".")
        assert command_of_app(("prog",)).words == (bytes(folder) + b"/./prog",)

    def test_a_relative_path_counts_from_the_working_folder(self, folder: Path) -> None:
        """As it is now."""
        program = executable(folder / "pr og")
        assert command_of_app(["./pr og"]).words == (os.path.join(bytes(folder), b"./pr og"),)  # noqa: PTH118  # as it is
        assert command_of_app([program]).words == (bytes(program),)

    def test_bytes_that_are_no_text_may_be_a_program(self, folder: Path) -> None:
        """A file has the name that it has."""
        name = os.path.join(bytes(folder), b"\xff")  # noqa: PTH118  # a Path takes no bytes
        executable(Path(os.fsdecode(name)))
        assert command_of_app([name]).words == (name,)

    def test_what_cannot_be_run_is_refused_at_once(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Missing, not executable, a folder, or not in the PATH."""
        monkeypatch.setenv("PATH", str(folder))
        assert "no file" in refusal(["./missing"])
        assert "not executable" in refusal(["./app.py"])
        assert "no file" in refusal([folder])
        assert "'app.py' is in the PATH" in refusal(["app.py"])
        assert "no file" in refusal(["./app.py/below"])

    def test_what_is_no_list_of_words_is_refused(self) -> None:
        """A shell's line, another kind of word, nothing, and a NUL."""
        assert "no shell reads, not str" in refusal("/bin/sh -c true")
        assert "no shell reads, not bytes" in refusal(b"/bin/sh")
        assert "no shell reads, not int" in refusal(7)
        assert "a word of command must be" in refusal(["/bin/sh", 7])
        assert "begins with the program" in refusal([])
        assert "begins with the program" in refusal([""])
        assert "NUL" in refusal(["/bin/sh", "a\0b"])
        assert "no file name" in refusal(["/bin/sh", "\ud800"])

    def test_a_folder_that_is_gone_is_refused(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing could be started in it."""
        gone = folder / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        assert "the working folder is gone" in refusal(["/bin/sh"])


class TestMemory:
    """A limit of memory."""

    def test_it_goes_with_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """On Linux, where it is watched; elsewhere it is refused, and not forgotten."""
        monkeypatch.setattr(sys, "platform", "linux")
        assert command_of_app(["/bin/sh"], 10**9).memory_limit == 10**9
        monkeypatch.setattr(sys, "platform", "darwin")
        assert command_of_app(["/bin/sh"]).memory_limit == 0
        with pytest.raises(NotSupported, match="Linux only"):
            command_of_app(["/bin/sh"], 10**9)

    @pytest.mark.parametrize("limit", ["1", 1.5, True, None, -1, 2**63])
    def test_it_is_a_number_of_bytes(self, limit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """And nothing else."""
        monkeypatch.setattr(sys, "platform", "linux")
        with pytest.raises(InvalidArgument, match=r"memory"):
            command_of_app(["/bin/sh"], limit)
