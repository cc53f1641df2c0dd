"""The files of the group policy: the administrator's and the user's, read at the start and on each change."""

from __future__ import annotations

import logging
import os
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
from attrs import Factory, frozen

from tocsin.host.file_watch import can_watch, watch_files
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.effective_policy import effective_policy
from tocsin.protocol.platform.policy import NO_POLICY, Policy
from tocsin.protocol.platform.policy_text import MAX_POLICY_SIZE, WrittenPolicy, read_policy
from tocsin.protocol.text import MAX_SENTENCE, harmless

POLICY_FILE: Final = "policy.toml"

LOOK_AGAIN: Final = 60.0
"""Seconds after which the files are looked at again at the earliest, where no system tells of changes."""

logger = logging.getLogger(__name__)


@frozen
class PolicyFile:
    """A file that a policy may be read from."""

    path: Path
    owner: int | None
    """The user that has to own it, if not root does; None where files have no such owner."""


def policy_files() -> list[PolicyFile]:
    """Return those of this machine, the administrator's first: in the folders for configuration of the system and of the user."""
    import platformdirs  # noqa: PLC0415  # what reads no policy does not pay for it

    has_owners = sys.platform != "win32"
    of_system = platformdirs.site_config_dir("tocsin", multipath=True).split(os.pathsep)
    files = [PolicyFile(Path(folder, POLICY_FILE).absolute(), 0 if has_owners else None) for folder in of_system]
    of_user = platformdirs.user_config_path("tocsin").absolute() / POLICY_FILE
    return [*files, PolicyFile(of_user, os.geteuid() if sys.platform != "win32" else None)]


class UnusablePolicy(Exception):
    """A file that does not count; the words say why."""


@frozen
class FileLook:
    """What a look at a file has found."""

    is_there: bool = False
    written: WrittenPolicy = Factory(WrittenPolicy)
    fault: str | None = None
    """Why it does not count, or what it said before still does."""


def look_at(file: PolicyFile, before: FileLook | None = None) -> FileLook:
    """Read a file; one that cannot be read any more, or is no TOML any more, goes on to say what it said before."""
    said = WrittenPolicy() if before is None else before.written
    try:
        text = _text_of(file)
        return FileLook() if text is None else FileLook(is_there=True, written=read_policy(text))
    except UnusablePolicy as unusable:
        return FileLook(is_there=True, fault=str(unusable))
    except OSError as failure:
        why = f"it cannot be read: {failure.strerror or failure}"
    except UnicodeDecodeError:
        why = "it is no TOML: it is not in UTF-8"
    except InvalidArgument as wrong:
        why = str(wrong)
    return FileLook(
        is_there=True, written=said, fault=f"{why}; what it said before still counts" if said.rules else why
    )


def _text_of(file: PolicyFile) -> str | None:
    """Return what is in a file; None where there is none."""
    try:
        # A pipe that has no writer is not waited for.
        descriptor = os.open(file.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (FileNotFoundError, NotADirectoryError):
        if file.path.is_symlink():
            raise UnusablePolicy("it is passed over: it is a link that leads nowhere") from None
        return None
    with open(descriptor, "rb") as opened:  # noqa: PTH123  # it is open
        _check(file, os.fstat(descriptor))
        content = opened.read(MAX_POLICY_SIZE + 1)
    if len(content) > MAX_POLICY_SIZE:
        raise InvalidArgument(f"it is longer than {MAX_POLICY_SIZE} bytes")
    return content.decode("utf-8-sig").replace("\r\n", "\n")


def _check(file: PolicyFile, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise UnusablePolicy("it is passed over: it is no regular file")
    if file.owner is None:
        return
    if found.st_uid not in {file.owner, 0}:
        owner = "root" if file.owner == 0 else f"root or the user with the id {file.owner}"
        raise UnusablePolicy(
            f"it is passed over: it belongs to the user with the id {found.st_uid}, and not to {owner}"
        )
    if found.st_mode & 0o022:
        raise UnusablePolicy(
            f"it is passed over: others may write it (mode {stat.S_IMODE(found.st_mode):o}); 'chmod go-w' forbids that"
        )


@frozen
class PolicyLook:
    """What all files say."""

    found: Mapping[PolicyFile, FileLook] = Factory(dict)
    policy: Policy = NO_POLICY
    """What counts of all of it."""
    faults: tuple[str, ...] = ()
    """What is wrong with them, a sentence each."""

    @classmethod
    def at(cls, files: Iterable[PolicyFile], before: PolicyLook | None = None) -> PolicyLook:
        """Read them; each goes on from what it said before."""
        known = {} if before is None else before.found
        found = {file: look_at(file, known.get(file)) for file in files}
        policy = effective_policy((str(file.path), look.written) for file, look in found.items())
        return cls(found, policy, tuple(_faults(found)))

    @property
    def standing(self) -> dict[str, str]:
        """Whether each file is there and counts, in a few words, by its path."""
        return {str(file.path): _standing(look) for file, look in self.found.items()}


def _faults(found: Mapping[PolicyFile, FileLook]) -> Iterator[str]:
    for file, look in found.items():
        of_file = look.written.faults if look.fault is None else (look.fault, *look.written.faults)
        for fault in of_file:
            yield f"{harmless(file.path, MAX_SENTENCE)}: {fault}"


def _standing(look: FileLook) -> str:
    if not look.is_there:
        return "not there"
    if look.fault is None:
        return "counts"
    return "cannot be read: what it said before counts" if look.written.rules else "does not count"


class PolicyFiles:
    """Tells what the files say, and watches them; where the system tells of no changes, they are looked at when asked.

    :param files: those that count first come first.
    :param now: seconds on a clock that never goes back.
    """

    def __init__(self, files: Sequence[PolicyFile], now: Callable[[], float] = time.monotonic) -> None:
        self.files = tuple(files)
        self.is_polled = not can_watch()
        self._now = now
        self._look = PolicyLook()
        self._told: Policy | None = None
        self._asked = anyio.Event()

    @property
    def faults(self) -> tuple[str, ...]:
        """What of it cannot be read, a sentence each; that is passed over."""
        return self._look.faults

    @property
    def standing(self) -> dict[str, str]:
        """Whether each file is there and counts, in a few words, by its path."""
        return self._look.standing

    async def run(self, tell: Callable[[Policy], None]) -> None:
        """Tell the policy at once, and again whenever it has changed, until cancelled."""

        async def look() -> None:
            await self._look_again(tell)

        await look()  # at once: to load what watches takes time
        if not self.is_polled:
            try:
                await watch_files([file.path for file in self.files], look)
            except OSError as failure:
                self.is_polled = True
                logger.warning(
                    "policy files cannot be watched, and are looked at once a minute at most while payloads come: %s",
                    failure.strerror or failure,
                )
        while True:
            looked = self._now()
            await self._asked.wait()
            await anyio.sleep(max(0.0, looked + LOOK_AGAIN - self._now()))
            self._asked = anyio.Event()
            await look()

    def ask(self) -> None:
        """Look again soon, where nothing tells of changes."""
        self._asked.set()

    async def _look_again(self, tell: Callable[[Policy], None]) -> None:
        before = self._look.faults
        # A folder on another machine may not answer: the platform stops all the same.
        self._look = await anyio.to_thread.run_sync(PolicyLook.at, self.files, self._look, abandon_on_cancel=True)
        for fault in self._look.faults:
            if fault not in before:
                logger.warning("policy: %s", fault)
        policy = self._look.policy
        if self._told is None or _parts(policy) != _parts(self._told):
            self._told = policy
            tell(policy)


def _parts(policy: Policy) -> tuple[object, ...]:
    return policy, policy.origins, policy.overruled


def default_policy() -> PolicyFiles:
    """Return what reads the policy of this machine."""
    return PolicyFiles(policy_files())
