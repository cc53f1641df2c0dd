"""The shell's stores agree: what is kept in memory is what SQLite keeps, also when it is opened again."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve

from tocsin.persistence.memory_shell_store import MemoryShellStore
from tocsin.persistence.shell_store import (
    ShellChanges,
    ShellStore,
    StoredActivation,
    StoredBadge,
    StoredTile,
    StoredToast,
)
from tocsin.persistence.sqlite_shell_store import open_sqlite_shell
from tocsin.protocol.messages import ToastActivationType

KEPT = StoredToast(
    id=3,
    app="mail",
    tag="t",
    group="g",
    payload="p3",
    content=b"<toast/>",
    data=(("a", "ü;1"),),
    sequence_number=2,
    is_held=False,
    shown=10.0,
    until=0.0,
    expires=99.0,
    boot="b",
    daemon="",
    number=0,
)
CLICK = StoredActivation(
    7, "mail", 3, "t", "g", ToastActivationType.PROTOCOL, "mail:5", (("reply", "hi\n"), ("to", "")), 11.5
)

Step = ShellChanges | dict[int, int] | list[int] | tuple[str, bytes]
"""A change, the attempts of clicks, clicks that are dropped, or what starts an app."""

STEPS: list[Step] = [
    ShellChanges(kept=(KEPT, evolve(KEPT, id=4, app="chat", until=None)), shown=("p3", "p4"), last_id=4),
    ShellChanges(kept=(evolve(KEPT, until=20.0, daemon=":1.5", number=8, expires=None),)),
    ShellChanges(dropped=(3, 99), activations=(CLICK, evolve(CLICK, number=8)), last_id=8),
    {7: 1, 8: 2, 99: 5},
    {7: 2},
    ("mail", b"command"),
    ("mail", b"other"),
    ("chat", b"command"),
    ("chat", b""),
    [8, 99],
    ShellChanges(kept=(evolve(KEPT, id=9, app="news", is_held=True),), last_id=9),
    ShellChanges(
        tiles=(StoredTile("mail", "", "t", b"1", 1.0, None), StoredTile("mail", "", "t", b"2", 2.0, 5.0)),
        badges=(StoredBadge("mail", b"b", 1.0, None), StoredBadge("chat", b"b", 1.0, 2.0)),
        shown=("p3",),
    ),
    ShellChanges(cleared_tiles=(("mail", "", "t"),), cleared_badges=("chat",)),
    ShellChanges(forgotten=("chat",)),
    ShellChanges(forgotten=("mail",)),
    ShellChanges(badges=(StoredBadge("news", b"old", 1.0, None),)),
    ShellChanges(forgotten=("news",), badges=(StoredBadge("news", b"new", 2.0, None),)),
]

AWAITED = [
    *({"chat"}, {"chat", "mail"}, {"chat", "mail"}, *[{"chat", "mail"}] * 7),
    *([{"chat", "mail", "news"}] * 3),
    *({"mail", "news"}, {"news"}, {"news"}, set[str]()),
]
"""The apps that have a toast on the screen or held back, or a click, after each step."""


@pytest.fixture
def anyio_backend() -> str:
    """SQLite: on asyncio."""
    return "asyncio"


async def take(store: ShellStore, step: Step) -> None:
    """Make one change."""
    match step:
        case ShellChanges():
            await store.commit(step)
        case dict():
            await store.note_attempts(step)
        case list():
            await store.drop_activations(step)
        case (app, command):
            await store.keep_command(app, command)


async def test_both_keep_the_same(tmp_path: Path) -> None:
    """After each change."""
    memory = MemoryShellStore()
    async with open_sqlite_shell(tmp_path) as database:
        for step, awaited in zip(STEPS, AWAITED, strict=True):
            await take(memory, step)
            await take(database, step)
            assert await database.load() == await memory.load(), step
            assert await database.awaited() == await memory.awaited() == awaited, step
        assert [badge.content for badge in await database.badges()] == [b"new"]  # the app is there again


@pytest.mark.parametrize("steps", range(1, len(STEPS) + 1, 3))
async def test_it_is_there_when_it_is_opened_again(tmp_path: Path, steps: int) -> None:
    """All of it: a click with its attempt, and what starts its app."""
    memory = MemoryShellStore()
    async with open_sqlite_shell(tmp_path) as database:
        for step in STEPS[:steps]:
            await take(memory, step)
            await take(database, step)
    async with open_sqlite_shell(tmp_path) as database:
        assert await database.load() == await memory.load()
