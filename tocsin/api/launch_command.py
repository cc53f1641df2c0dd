"""The command that starts an app for a push or a click on a toast: the one given to ``connect``, or the one of this process.

The manager sends it with the activators, their registry keeps it, and ``tocsin.agent.launcher`` runs it.
"""

from __future__ import annotations

import builtins
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument, NotSupported
from tocsin.protocol.platform.command import Command, kept
from tocsin.protocol.platform.launches import CLAIM_ARGUMENTS
from tocsin.protocol.text import quoted

Words = Sequence[str | bytes | os.PathLike[str] | os.PathLike[bytes]]

_ASK: Final = 'give connect() the command that starts it, such as command=["/path/to/app", "--flag"]'
_LAST_OPTION: Final = re.compile(r"-[^-cmWX]*(?P<letter>[cmWX])(?P<value>.*)", re.DOTALL)
"""Short options of the interpreter, the last of which takes all that follows, or else the next word."""


def command_of_app(command: Words | None = None, memory_limit: int = 0) -> Command:
    """Return a command with the working folder and the environment that this process has now.

    :param command: the words of the program, which is a path or is found in the PATH; None for the words that this
        process was started with.
    :raises InvalidArgument: it is no command, its program cannot be run, or the folder is gone; with None also where this
        process runs no program that could be started again (``-c``, standard input, an interactive session, a notebook).
    :raises NotSupported: memory is not watched on this system.
    """
    check_kind(memory_limit, "memory_limit", int)
    if memory_limit and sys.platform != "linux":
        raise NotSupported("a limit of memory is watched on Linux only: leave memory_limit out")
    folder = _working_folder()
    words = _own_words(folder) if command is None else _given_words(command, folder)
    _check_program(words[0])
    return Command(tuple(map(_encoded, words)), _encoded(folder), _environment(), memory_limit)


def _working_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  # a Path would be made text again
    except OSError as failure:
        raise InvalidArgument(f"the working folder is gone: {failure.strerror}") from None


def _environment() -> tuple[bytes, ...]:
    return kept({os.fsencode(name): os.fsencode(value) for name, value in os.environ.items()})


def _encoded(word: str) -> bytes:
    try:
        return os.fsencode(word)
    except UnicodeEncodeError:
        raise InvalidArgument(f"no file name can hold {quoted(word)}") from None


def _given_words(command: Words, folder: str) -> list[str]:
    """Take the words of a caller, and find the program."""
    if isinstance(command, (str, bytes, bytearray)) or not isinstance(command, Sequence):
        raise InvalidArgument(f"command is a list of words, which no shell reads, not {type(command).__name__}")
    for word in command:
        check_kind(word, "a word of command", str, bytes, os.PathLike)
    words = [os.fsdecode(word) for word in command]
    if not words or not words[0]:
        raise InvalidArgument("command begins with the program that is to be started")
    if any("\0" in word for word in words):
        raise InvalidArgument("a NUL can stand in no word of a command")
    return [_found(words[0], folder), *words[1:]]


def _found(program: str, folder: str) -> str:
    """Return the path of a program from the root."""
    if os.sep in program:
        return os.path.join(folder, program)  # noqa: PTH118  # a Path would drop what may matter, such as a dot
    found = shutil.which(program)
    if found is None:
        raise InvalidArgument(f"no program {quoted(program)} is in the PATH")
    return os.path.join(folder, found)  # noqa: PTH118  # the PATH may hold relative folders


def _check_program(program: str) -> None:
    """See that a program can be run now: an error here comes while its user looks, and not with the first push."""
    path = Path(program)
    try:
        is_file = path.is_file()
    except OSError as failure:
        raise InvalidArgument(f"the program {quoted(program)} cannot be looked at: {failure.strerror}") from None
    if not is_file:
        raise InvalidArgument(f"there is no file {quoted(program)} that could be run")
    if not os.access(path, os.X_OK):
        raise InvalidArgument(f"{quoted(program)} is not executable")


def _own_words(folder: str) -> list[str]:
    """Return the words that this process was started with, without the claim where it was launched."""
    if hasattr(sys, "ps1") or sys.flags.interactive or hasattr(builtins, "__IPYTHON__") or "ipykernel" in sys.modules:
        raise InvalidArgument(f"an interactive session or a notebook cannot be started again by itself: {_ASK}")
    # Not the file that a link of a virtual environment leads to: it would not find the environment.
    program = os.path.abspath(sys.executable) if sys.executable else ""  # noqa: PTH100  # Path.resolve follows links
    words = [word for word in sys.orig_argv[1:] if not word.startswith(tuple(CLAIM_ARGUMENTS.values()))]
    if not program or not sys.orig_argv:
        raise InvalidArgument(f"it is not known how this process was started: {_ASK}")
    if not getattr(sys, "frozen", False):
        _check_script(words, folder)
    return [program, *words]


def _check_script(words: list[str], folder: str) -> None:
    """See that an interpreter with these arguments runs a module, or a script that is there."""
    match _what_runs(words):
        case "-m":
            pass
        case "-c":
            raise InvalidArgument(f"code that was given with -c does not start again by itself: {_ASK}")
        case "-":
            raise InvalidArgument(f"code that came from standard input does not start again by itself: {_ASK}")
        case script if not os.path.exists(os.path.join(folder, script)):  # noqa: PTH110, PTH118  # as in _found
            raise InvalidArgument(
                f"the script {quoted(script)} is not in the working folder of now, {quoted(folder)}: {_ASK}"
            )


def _what_runs(words: list[str]) -> str:
    """Return what an interpreter with these arguments runs: a script, ``-m``, ``-c``, or ``-`` for standard input."""
    rest = iter(words)
    for word in rest:
        if word == "-" or not word.startswith("-"):
            return word
        option = _LAST_OPTION.fullmatch(word)
        if option is not None and option["letter"] in "cm":
            return f"-{option['letter']}"
        if word == "--check-hash-based-pycs" or (option is not None and not option["value"]):
            next(rest, None)
    return "-"
