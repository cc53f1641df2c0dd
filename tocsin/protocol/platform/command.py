"""The command that starts an app which does not run: words, working folder and environment.

All of it is bytes, as the operating system has it: not every file name is text.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Final, Self

from attrs import frozen
from msgpack import packb, unpackb
from msgpack.exceptions import ExtraData, UnpackException

from tocsin.protocol.errors import FrameError, InvalidArgument
from tocsin.protocol.text import MAX_SENTENCE, harmless

MAX_PACKED: Final = 56 * 1024
"""Bytes of a packed command at most: a frame has room for it and for what surrounds it."""

MAX_WORDS: Final = 1024
MAX_VARIABLES: Final = 1024

KEPT: Final = frozenset(
    b"HOME USER LOGNAME SHELL PATH LANG LANGUAGE TZ TZDIR TMPDIR TEMP TMP"  # who, where, and in which language
    b" LD_LIBRARY_PATH DYLD_LIBRARY_PATH VIRTUAL_ENV CONDA_PREFIX"  # where its libraries are
    b" DISPLAY WAYLAND_DISPLAY XAUTHORITY DBUS_SESSION_BUS_ADDRESS DESKTOP_SESSION PULSE_SERVER"  # its desktop
    b" QT_QPA_PLATFORM QT_SCALE_FACTOR QT_IM_MODULE GDK_BACKEND GDK_SCALE GTK_IM_MODULE XMODIFIERS"
    b" SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE"  # whom it trusts
    b" http_proxy https_proxy ftp_proxy all_proxy no_proxy"  # its way to the network
    b" HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY".split()
)
"""Variables that a launched app finds as they were when it connected; of all others, only those of ``KEPT_PREFIXES``."""

KEPT_PREFIXES: Final = (b"LC_", b"XDG_", b"PYTHON")
"""Beginnings of names that are kept as well, unless a word of the name is one of ``SECRET``."""

SECRET: Final = frozenset(b"TOKEN TOKENS SECRET SECRETS PASSWORD PASSWD PASSPHRASE CREDENTIAL CREDENTIALS KEY".split())
"""Words between the underscores of a name that tell of a secret, such as ``XDG_ACTIVATION_TOKEN``: it is not stored."""

MAX_MEMORY: Final = 2**62
"""Bytes that a limit of memory names at most."""

_Packed = tuple[tuple[bytes, ...], bytes, tuple[bytes, ...], int]
_BROKEN = (UnpackException, ExtraData, ValueError, TypeError, OverflowError)


@frozen
class Command:
    """The words of a command, the first of which is the path of a program, its working folder, and its environment.

    :param environment: each as ``NAME=value``.
    :param memory_limit: bytes that its process may have, with all that it has started; 0 where there is no limit.
    :raises InvalidArgument: no system could start it, or it is larger than ``MAX_PACKED``; the sentence says why.
    """

    words: tuple[bytes, ...]
    folder: bytes
    environment: tuple[bytes, ...]
    memory_limit: int = 0

    def __attrs_post_init__(self) -> None:
        if not self.words or not self.words[0].startswith(b"/"):
            raise InvalidArgument("a command begins with the path of its program, from the root")
        if not self.folder.startswith(b"/"):
            raise InvalidArgument("the working folder of a command is a path from the root")
        if any(b"\0" in each for each in (*self.words, self.folder, *self.environment)):
            raise InvalidArgument("a NUL can stand nowhere in a command")
        if not all(entry.find(b"=") > 0 for entry in self.environment):
            raise InvalidArgument("each variable of a command's environment is written NAME=value")
        if not 0 <= self.memory_limit <= MAX_MEMORY:
            raise InvalidArgument(f"a limit of memory is 0 to {MAX_MEMORY} bytes, not {self.memory_limit}")
        if len(self.words) > MAX_WORDS or len(self.environment) > MAX_VARIABLES:
            raise InvalidArgument(f"a command has at most {MAX_WORDS} words and {MAX_VARIABLES} variables")
        size = len(self.pack())
        if size > MAX_PACKED:
            raise InvalidArgument(f"a command has at most {MAX_PACKED} bytes with its environment, not {size}")

    def pack(self) -> bytes:
        """Return it as one msgpack array; its limit stands last, and only where it has one."""
        limit = (self.memory_limit,) if self.memory_limit else ()
        packed: bytes = packb((self.words, self.folder, self.environment, *limit))
        return packed

    @classmethod
    def unpack(cls, blob: bytes) -> Self:
        """Read what :meth:`pack` wrote.

        :raises FrameError: it is something else.
        """
        if len(blob) > MAX_PACKED:
            raise FrameError(f"a command of {len(blob)} bytes is longer than {MAX_PACKED}")
        try:
            values = unpackb(
                blob,
                use_list=False,
                max_str_len=0,
                max_bin_len=MAX_PACKED,
                max_array_len=max(MAX_WORDS, MAX_VARIABLES),
                max_map_len=0,
                max_ext_len=0,
            )
            return cls(*_checked(values))
        except _BROKEN as broken:  # InvalidArgument, a ValueError, is one of them
            raise FrameError(f"not a packed command: {str(broken) or type(broken).__name__}") from None

    def script_words(self) -> tuple[bytes, ...]:
        """Return the words of which the first that is a file is the script; none where the program is no Python interpreter."""
        if not self.words[0].rpartition(b"/")[2].startswith(b"python"):
            return ()
        options = takewhile(lambda word: word not in {b"-m", b"-c", b"-"}, self.words[1:])
        return tuple(word for word in options if word and not word.startswith(b"-"))

    def text(self, limit: int = MAX_SENTENCE) -> str:
        """Return the words as one would type them in a shell, harmless to show; bytes that are no text as escapes.

        :param limit: characters at most.
        """
        words = (word.decode("utf-8", "backslashreplace") for word in self.words)
        return harmless(shlex.join(words), limit)


def _checked(values: object) -> _Packed:
    """Return what was unpacked, where it has the shape of a command."""
    match values:
        case (tuple(words), bytes(folder), tuple(environment)) if _are_bytes(words) and _are_bytes(environment):
            return words, folder, environment, 0
        case (tuple(words), bytes(folder), tuple(environment), int(limit)) if (
            type(limit) is int and _are_bytes(words) and _are_bytes(environment)
        ):
            return words, folder, environment, limit
        case _:
            raise TypeError("an array of words, a folder, an array of variables, and perhaps a limit expected")


def _are_bytes(values: Sequence[object]) -> bool:
    return all(type(value) is bytes for value in values)


def kept(environment: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
    """Return the variables that a launched app finds, as ``NAME=value`` in the order of their names.

    Those of its session that it needs are, and those that hold a secret are not.
    """
    return tuple(b"%b=%b" % entry for entry in sorted(environment.items()) if _is_kept(entry[0]))


def _is_kept(name: bytes) -> bool:
    return name in KEPT or (name.startswith(KEPT_PREFIXES) and SECRET.isdisjoint(name.upper().split(b"_")))
