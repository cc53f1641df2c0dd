"""Tells of changes of files by Linux's inotify; while nothing changes, nothing wakes it.

A file may be missing, with its folder and all above it; it may be replaced by another, and a link may come to lead elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
from attrs import Factory, define

if TYPE_CHECKING:
    from asyncinotify import Event as FileEvent
    from asyncinotify import Inotify

_ANY = ""
"""Stands for every name in a folder."""

_MAX_LINKS = 40
"""Links on the way to a file of which Linux follows as many at most."""


def can_watch() -> bool:
    """Tell whether this system has what is watched with."""
    return sys.platform == "linux"


async def watch_files(files: Iterable[Path], look: Callable[[], Awaitable[None]]) -> None:
    """Look at once, and again whenever one of the files may have changed, until cancelled.

    :param files: absolute paths.
    :raises OSError: the system gives no watches, such as for want of ``fs.inotify.max_user_instances``.
    """
    wanted, open_inotify = list(files), await anyio.to_thread.run_sync(_library)
    while True:
        with open_inotify() as inotify:
            plan = _Plan.of(wanted)
            watched = plan.watch(inotify)
            if _Plan.of(wanted) != plan:  # a folder has come or gone meanwhile
                continue
            await look()  # what has changed before is seen now, and what changes from now on is told
            while not _concerns(await inotify.get(), watched):
                pass


def _library() -> type[Inotify]:
    """Load what watches; it runs ``ldconfig`` meanwhile, which takes 20 ms."""
    try:
        from asyncinotify import Inotify  # noqa: PLC0415  # as above, and elsewhere it is not installed
    except (ImportError, RuntimeError) as failure:
        raise OSError(str(failure)) from failure
    return Inotify


@define
class _Plan:
    """The folders that are watched, each for names of what is in it; for none: only for whether it goes itself."""

    folders: dict[Path, set[str]] = Factory(dict)

    @classmethod
    def of(cls, files: list[Path]) -> _Plan:
        plan = cls()
        for file in files:
            plan._add(file, _ANY)
            for step in _way_to(file):
                plan._add(step, step.name)
        return plan

    def _add(self, file: Path, name: str) -> None:
        """Watch the folder of a file; where it is missing, the nearest above it that is there, for what leads to it."""
        awaited = name
        for folder in file.parents:
            if _is_folder(folder):
                self.folders.setdefault(folder, set()).add(awaited)
                break
            awaited = folder.name
        for above in folder.parents:
            self.folders.setdefault(above, set())

    def watch(self, inotify: Inotify) -> dict[int, set[str]]:
        """Ask for all of it; return the names by watch: two paths may lead to one folder."""
        from asyncinotify import Mask  # noqa: PLC0415  # as above

        itself = Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.MASK_ADD | Mask.ONLYDIR
        inside = Mask.CLOSE_WRITE | Mask.CREATE | Mask.DELETE | Mask.MOVE | Mask.ATTRIB
        watched = dict[int, set[str]]()
        for folder, names in self.folders.items():
            try:
                watch = inotify.add_watch(folder, itself | inside if names else itself)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue  # gone again, which the next plan shows; or not ours to look into
            watched.setdefault(watch.wd, set()).update(names)
        return watched


def _concerns(event: FileEvent, watched: dict[int, set[str]]) -> bool:
    """Tell whether an event may be a change: of a name that is waited for, of a folder itself, or of too many at once."""
    if event.watch is None or event.name is None:
        return True
    names = watched.get(event.watch.wd, set())
    return _ANY in names or str(event.name) in names


def _way_to(file: Path) -> list[Path]:
    """Return the links on the way to a file, folders that are links among them, and what they lead to at the end.

    Without links that is the file itself. The end may be missing, and with too many links there is none.
    """
    links, end, ahead = list[Path](), Path(file.anchor), list(reversed(file.parts[1:]))
    while ahead:
        name = ahead.pop()
        if name == "..":
            end = end.parent
            continue
        end /= name
        try:
            target = end.readlink()
        except OSError:  # no link, or not there
            continue
        links.append(end)
        if len(links) > _MAX_LINKS:
            return links
        end = Path(target.anchor) if target.is_absolute() else end.parent
        ahead += reversed(target.parts[1:] if target.is_absolute() else target.parts)
    return [*links, end]


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
