"""The files of the policy: read at the start and on each change, whatever becomes of them."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from tests.helpers import PATIENCE
from tocsin.host import policy_files
from tocsin.host.file_watch import watch_files
from tocsin.host.policy_files import PolicyFile, PolicyFiles, PolicyLook, look_at
from tocsin.host.policy_files import policy_files as files_of_machine
from tocsin.protocol.platform.policy import NO_POLICY, Policy
from tocsin.protocol.platform.policy_text import MAX_POLICY_SIZE

posix = pytest.mark.skipif(sys.platform == "win32", reason="files have an owner and a mode on POSIX")
linux = pytest.mark.skipif(sys.platform != "linux", reason="files are watched by Linux's inotify")

NO_TOASTS, NO_TILES = Policy(toasts=False), Policy(tiles=False)


def own(path: Path) -> PolicyFile:
    """Name a file that this user has to own."""
    return PolicyFile(path, os.geteuid() if sys.platform != "win32" else None)


def replace(path: Path, text: str) -> None:
    """Put a file in the place of another, as editors and programs do that take care."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name("new")
    written.write_text(text, encoding="utf-8")
    written.chmod(0o644)
    written.replace(path)


class Told:
    """The policies that were told, and waiting for one of them."""

    def __init__(self) -> None:
        self.policies: list[Policy] = []
        self._changed = anyio.Event()

    def __call__(self, policy: Policy) -> None:
        """Take what is told."""
        self.policies.append(policy)
        self._changed.set()

    async def until(self, wanted: Policy) -> None:
        """Wait until the policy is that."""
        with anyio.fail_after(PATIENCE):
            while not self.policies or self.policies[-1] != wanted:
                self._changed = anyio.Event()
                await self._changed.wait()


@asynccontextmanager
async def running(source: PolicyFiles) -> AsyncIterator[Told]:
    """Run a source."""
    told = Told()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.run, told)
        yield told
        tasks.cancel_scope.cancel()


Change = Callable[[Path], object]


@linux
@pytest.mark.parametrize("place", ["policy.toml", "tocsin/policy.toml", "etc/xdg/tocsin/policy.toml"])
async def test_each_change_counts_at_once(tmp_path: Path, place: str) -> None:
    """The file comes with its folders, is written over, replaced, removed with its folder, and comes again."""
    file = tmp_path / place
    changes: list[tuple[Change, Policy]] = [
        (lambda file: replace(file, "toasts = false"), NO_TOASTS),
        (lambda file: file.write_text("tiles = false", encoding="utf-8"), NO_TILES),
        (lambda file: replace(file, "toasts = false"), NO_TOASTS),
        (lambda file: file.rename(file.with_name("away")), NO_POLICY),
        (lambda file: file.with_name("away").rename(file), NO_TOASTS),
        (lambda file: file.unlink(), NO_POLICY),
        (lambda file: replace(file, "tiles = false"), NO_TILES),
    ]
    if "/" in place:
        changes += [
            (lambda _: (tmp_path / place.split("/", maxsplit=1)[0]).rename(tmp_path / "gone"), NO_POLICY),
            (lambda _: (tmp_path / "gone").rename(tmp_path / place.split("/", maxsplit=1)[0]), NO_TILES),
        ]
    async with running(PolicyFiles([own(file)])) as told:
        await told.until(NO_POLICY)
        for change, wanted in changes:
            change(file)
            await told.until(wanted)


@linux
async def test_a_link_that_leads_elsewhere_counts_at_once(tmp_path: Path) -> None:
    """As a fleet's programs and containers lay out their files; and what it leads to may change."""
    for name, text in (("one", "toasts = false"), ("two", "tiles = false")):
        replace(tmp_path / name / "policy.toml", text)
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "data").symlink_to(tmp_path / "one")
    (folder / "policy.toml").symlink_to("data/policy.toml")
    async with running(PolicyFiles([own(folder / "policy.toml")])) as told:
        await told.until(NO_TOASTS)
        (folder / "new").symlink_to(tmp_path / "two")
        (folder / "new").replace(folder / "data")
        await told.until(NO_TILES)
        replace(tmp_path / "two" / "policy.toml", "badges = false")
        await told.until(Policy(badges=False))


@linux
@pytest.mark.parametrize("inner", ["tocsin", "above/tocsin", "above/between/tocsin"])
async def test_a_folder_on_the_way_that_is_a_link_may_lead_elsewhere(tmp_path: Path, inner: str) -> None:
    """The last folder or one above it, by links that lead to links; and a folder may take the link's place."""
    for name, text in (("one", "toasts = false"), ("two", "tiles = false")):
        replace(tmp_path / name / inner / "policy.toml", text)
    (tmp_path / "chosen").symlink_to("one")
    (tmp_path / "config").symlink_to(tmp_path / "chosen")
    async with running(PolicyFiles([own(tmp_path / "config" / inner / "policy.toml")])) as told:
        await told.until(NO_TOASTS)
        (tmp_path / "new").symlink_to("two")
        (tmp_path / "new").replace(tmp_path / "chosen")
        await told.until(NO_TILES)
        (tmp_path / "chosen").unlink()
        await told.until(NO_POLICY)
        replace(tmp_path / "chosen" / inner / "policy.toml", "badges = false")
        await told.until(Policy(badges=False))


@linux
async def test_a_link_that_leads_nowhere_is_a_fault_until_it_leads_somewhere(tmp_path: Path) -> None:
    """It is no missing file: its owner wants it to count."""
    (tmp_path / "policy.toml").symlink_to(tmp_path / "later" / "policy.toml")
    files = PolicyFiles([own(tmp_path / "policy.toml")])
    async with running(files) as told:
        await told.until(NO_POLICY)
        assert "it is a link that leads nowhere" in files.faults[0]
        replace(tmp_path / "later" / "policy.toml", "toasts = false")
        await told.until(NO_TOASTS)
        assert files.faults == ()


@linux
async def test_what_is_beside_the_path_wakes_nothing(tmp_path: Path) -> None:
    """Where the folder is not there yet, other files come and go in the one above it."""
    looks, looked = 0, anyio.Event()

    async def look() -> None:
        nonlocal looks
        looks += 1
        looked.set()
        await checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch_files, [tmp_path / "tocsin" / "policy.toml"], look)
        with anyio.fail_after(PATIENCE):
            await looked.wait()
        for number in range(10):
            (tmp_path / f"other{number}").write_text("x", encoding="utf-8")
            await checkpoint()  # each time the event loop takes what is there
        assert looks == 1
        looked = anyio.Event()
        (tmp_path / "tocsin").mkdir()
        with anyio.fail_after(PATIENCE):
            await looked.wait()
        tasks.cancel_scope.cancel()


@posix
@pytest.mark.parametrize(
    ("mode", "owner", "fault"),
    [
        (0o644, os.geteuid(), None),
        (0o600, os.geteuid(), None),
        (0o664, os.geteuid(), "it is passed over: others may write it (mode 664); 'chmod go-w' forbids that"),
        (0o646, os.geteuid(), "it is passed over: others may write it (mode 646)"),
    ],
)  # fmt: skip
def test_a_file_that_others_may_write_is_passed_over(tmp_path: Path, mode: int, owner: int, fault: str | None) -> None:
    """Else what they forbid would be the administrator's."""
    file = tmp_path / "policy.toml"
    file.write_text("toasts = false", encoding="utf-8")
    file.chmod(mode)
    look = look_at(PolicyFile(file, owner))
    assert (look.fault or "").startswith(fault or "")
    assert (look.fault is None) == (fault is None) == bool(look.written.rules)


@posix
def test_a_file_of_another_user_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The administrator's is root's, and a user's is the user's or root's."""
    file = tmp_path / "policy.toml"
    file.write_text("toasts = false", encoding="utf-8")
    file.chmod(0o644)
    found = os.stat_result
    real = os.fstat

    def of_another(descriptor: int) -> os.stat_result:
        fields = list(real(descriptor))
        fields[4] = 4711
        return found(fields)

    monkeypatch.setattr(os, "fstat", of_another)
    assert look_at(PolicyFile(file, 4711)).fault is None
    assert look_at(PolicyFile(file, 0)).fault == (
        "it is passed over: it belongs to the user with the id 4711, and not to root"
    )
    assert "and not to root or the user with the id 12" in (look_at(PolicyFile(file, 12)).fault or "")


@posix
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_passed_over(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """And not waited for."""
    make(tmp_path / "policy.toml")
    look = look_at(own(tmp_path / "policy.toml"))
    assert look.fault is not None
    assert look.written.rules == {}


BEFORE = b"toasts = false\ntiles = 7\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"toasts = ", "it is no TOML: Invalid value"),
        (b"\xff", "it is no TOML: it is not in UTF-8"),
        (b"#" * (MAX_POLICY_SIZE + 1), "it is longer than 262144 bytes"),
    ],
)
def test_the_last_good_policy_of_a_file_stays(tmp_path: Path, content: bytes, why: str) -> None:
    """Where it is no TOML any more, which is said; without one it says nothing."""
    file = own(tmp_path / "policy.toml")
    file.path.write_bytes(content)
    assert look_at(file).written.rules == {}
    file.path.write_bytes(BEFORE)
    first = PolicyLook.at([file])
    assert first.policy == NO_TOASTS
    (fault,) = first.faults
    assert fault == f"{file.path}: line 2: tiles: it is true or false, not 7"
    file.path.write_bytes(content)
    second = PolicyLook.at([file], PolicyLook.at([file], first))
    assert second.policy == NO_TOASTS
    assert second.faults[0].startswith(f"{file.path}: {why}")
    assert second.faults[0].endswith("; what it said before still counts")
    file.path.unlink()
    assert PolicyLook.at([file], second).policy == NO_POLICY


async def test_a_fault_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And again where it has gone meanwhile."""
    file = own(tmp_path / "policy.toml")
    source = PolicyFiles([file])
    with caplog.at_level(logging.WARNING, logger="tocsin"):
        for text in ("tosts = true", "tosts = true\ntiles = false", "", "tosts = true"):
            replace(file.path, text)
            await source._look_again(lambda _: None)
    assert [record.getMessage().split(": ")[2] for record in caplog.records] == ["line 1", "line 1"]


async def test_an_equal_policy_is_told_once(tmp_path: Path) -> None:
    """But one that another file says is another."""
    first, second = own(tmp_path / "a.toml"), own(tmp_path / "b.toml")
    source, told = PolicyFiles([first, second]), Told()
    for _ in range(2):
        await source._look_again(told)
    replace(second.path, "toasts = false")
    await source._look_again(told)
    replace(first.path, "toasts = false")
    await source._look_again(told)
    assert told.policies == [NO_POLICY, NO_TOASTS, NO_TOASTS]
    assert [policy.origins.get("toasts") for policy in told.policies] == [None, str(second.path), str(first.path)]


@posix
def test_the_files_are_those_of_the_configuration_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All folders of the system, in their order, then the user's."""
    if sys.platform == "darwin":
        pytest.skip("XDG_CONFIG_DIRS names these folders on other systems")
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"{first}:{second}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(third))
    assert files_of_machine() == [
        PolicyFile(first / "tocsin" / "policy.toml", 0),
        PolicyFile(second / "tocsin" / "policy.toml", 0),
        PolicyFile(third / "tocsin" / "policy.toml", os.geteuid()),
    ]


async def refused(*_: object) -> None:
    """Watch nothing, as a system with too many watches."""
    raise OSError(24, "Too many open files")


@linux
@pytest.mark.parametrize("missing", ["watches", "library"])
async def test_where_nothing_can_be_watched_it_is_looked_at_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, missing: str
) -> None:
    """For want of watches, or of what watches; it is logged why."""
    if missing == "watches":
        monkeypatch.setattr(policy_files, "watch_files", refused)
    else:
        monkeypatch.setitem(sys.modules, "asyncinotify", None)
    monkeypatch.setattr(policy_files, "LOOK_AGAIN", 0.01)
    file = own(tmp_path / "policy.toml")
    source = PolicyFiles([file])
    async with running(source) as told:
        await told.until(NO_POLICY)
        replace(file.path, "toasts = false")
        source.ask()
        await told.until(NO_TOASTS)
    assert source.is_polled
    why = {"watches": "Too many open files", "library": "import of asyncinotify halted"}[missing]
    assert f"cannot be watched, and are looked at once a minute at most while payloads come: {why}" in caplog.text
