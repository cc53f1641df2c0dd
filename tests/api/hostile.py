"""What an app's code may do to us: errors that it raises, values that it returns, and what it does to the task that it runs in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from typing import Any, NoReturn

import anyio
from anyio.lowlevel import checkpoint
from attrs import frozen
from hypothesis import strategies as st

from tocsin.api.args import PushNotificationReceivedEventArgs

Args = PushNotificationReceivedEventArgs


class Mute(Exception):
    """An error whose words cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no words")

    __repr__ = __str__


class Wordless(Exception):
    """An error whose words are no text."""

    def __str__(self) -> Any:
        return 5  # noqa: PLE0307  # it is wrong on purpose


class Stubborn(str):
    """A text that does nothing that it is asked for."""

    __slots__ = ()

    def __format__(self, _: str) -> str:
        raise RuntimeError("no format")

    def __getitem__(self, _: Any) -> str:
        raise RuntimeError("no characters")


class Quoting(Exception):
    """An error whose words are of a class of its own."""

    def __str__(self) -> str:
        return Stubborn("these words")


class Noted(Exception):
    """An error whose notes cannot be had."""

    @property
    def __notes__(self) -> list[str]:  # type: ignore[override]  # it is wrong on purpose
        raise RuntimeError("no notes")


class Rude(BaseException):
    """An error that is no Exception."""


class Classless(BaseException):
    """An error that does not say what it is."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")

    @__class__.setter
    def __class__(self, _: Any) -> None: ...


class OwnCancel(asyncio.CancelledError):
    """A cancellation of the app's making."""


class Closed(BaseExceptionGroup[BaseException]):
    """A group that cannot be looked into."""

    def subgroup(self, _: Any) -> NoReturn:
        """Be asked in vain."""
        raise RuntimeError("no members")

    split = subgroup


def deep() -> BaseException:
    """Return a group in a group in a group, deeper than a traceback goes."""
    errors: list[BaseException] = [OwnCancel()]
    for _ in range(2_000):
        errors = [BaseExceptionGroup("deeper", errors)]
    return errors[0]


class Odd:
    """An awaitable that gives the event loop something that it cannot wait for."""

    def __await__(self) -> Generator[Any, None, None]:
        yield self


class Failing:
    """An awaitable that fails before it has begun."""

    def __await__(self) -> Generator[Any, None, None]:
        raise StopIteration


class Endless:
    """An awaitable that is none."""

    def __await__(self) -> Any:
        return 5


class Trap:
    """An object that cannot be looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"do not look at {name}")


ERRORS: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("no such mail"),
    "surrogate": lambda: ValueError("a lone \udc80 surrogate \ud83d"),
    "long": lambda: ValueError("€" * 100_000),
    "mute": Mute,
    "wordless": Wordless,
    "quoting": Quoting,
    "noted": Noted,
    "CancelledError": asyncio.CancelledError,
    "OwnCancel": OwnCancel,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
    "GeneratorExit": GeneratorExit,
    "rude": Rude,
    "classless": Classless,
    "group": lambda: ExceptionGroup("two", [ValueError("1"), Mute()]),
    "rude group": lambda: BaseExceptionGroup("two", [asyncio.CancelledError(), Rude()]),
    "closed group": lambda: Closed("one", [asyncio.CancelledError()]),
    "deep group": deep,
    "MemoryError": MemoryError,
    "RecursionError": RecursionError,
    "TimeoutError": TimeoutError,
}
"""What a handler may raise, by name; what ends the program, KeyboardInterrupt and SystemExit, has tests of its own."""

VALUES: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "number": lambda: 5,
    "trap": Trap,
    "coroutine": checkpoint,
    "generator": lambda: (each for each in ""),
    "class": lambda: Odd,
    "odd": Odd,
    "failing": Failing,
    "endless": Endless,
}
"""What it may return."""

MISBEHAVE = {"odd", "failing", "endless"}
"""Those that are awaited, and fail."""


def throw(name: str) -> NoReturn:
    """Raise that error."""
    raise ERRORS[name]()  # noqa: RSE102  # some are functions that make it


left_open: list[object] = []
"""Scopes and groups that handlers have entered and not left; else their end would leave them."""


async def misuse(how: str, args: Args) -> None:
    """Do something to the task that we run in."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    match how:
        case "awaits a cancelled task":
            work = asyncio.create_task(asyncio.Event().wait())
            args.canceled(lambda _: work.cancel())
            loop.call_soon(work.cancel)
            await work
        case "cancels its own task":
            task.cancel()
        case "leaves a scope open" | "leaves a cancelled scope open":
            scope = anyio.CancelScope()
            scope.__enter__()
            left_open.append(scope)
            if "cancelled" in how:
                scope.cancel()
        case "leaves a failing group open":
            group = anyio.create_task_group()
            await group.__aenter__()
            left_open.append(group)
            group.start_soon(fail)
        case "leaves a timeout open":
            timeout = asyncio.timeout(0)
            await timeout.__aenter__()
            left_open.append(timeout)
        case _:
            pass


async def fail() -> None:
    """Be a task that fails."""
    throw("ValueError")


CERTAIN = {"awaits a cancelled task", "cancels its own task"}
"""What always ends the handler."""

POSSIBLE = {"leaves a cancelled scope open", "leaves a failing group open", "leaves a timeout open"}
"""What ends it where it waits long enough."""

MISUSES = ["leaves a scope open", *sorted(CERTAIN), *sorted(POSSIBLE)]


@frozen
class Hostile:
    """One handler: what it does before and after its first wait, and how it ends."""

    handled: bool
    deferral: str
    waits: bool
    misuse: str
    error: str
    value: str

    @property
    def fails(self) -> set[bool]:
        """Whether it does anything but return what it may; where it depends on who comes first, both."""
        plain = not (self.waits or self.misuse or self.deferral)
        if self.error or self.misuse in CERTAIN or (plain and self.value in MISBEHAVE):
            return {True}
        return {True, False} if self.misuse in POSSIBLE else {False}


def hostile() -> st.SearchStrategy[Hostile]:
    """Handlers of all kinds."""
    return st.builds(
        Hostile,
        handled=st.booleans(),
        deferral=st.sampled_from(["", "", "at once", "soon", "in a thread"]),
        waits=st.booleans(),
        misuse=st.sampled_from(["", "", "", *MISUSES]),
        error=st.sampled_from(["", *ERRORS]),
        value=st.sampled_from(list(VALUES)),
    )


def handler_of(it: Hostile, *, background: bool = False) -> Callable[[Args], Any]:
    """Return that handler: a plain function where it need not wait, else an async one; only in the foreground has it a say."""

    def decide(args: Args) -> None:
        if not background:
            args.handled = it.handled

    def plain(args: Args) -> Any:
        decide(args)
        if it.error:
            throw(it.error)
        return VALUES[it.value]()

    async def waiting(args: Args) -> Any:
        decide(args)
        defer(it.deferral, args)
        await misuse(it.misuse, args)
        if it.waits:
            await checkpoint()
        if it.error:
            throw(it.error)

    return waiting if it.waits or it.misuse or it.deferral else plain


def defer(until: str, args: Args) -> None:
    """Take a deferral, where there is to be one, and have it completed."""
    match until:
        case "at once":
            args.get_deferral().complete()
        case "soon":
            asyncio.get_running_loop().call_soon(args.get_deferral().complete)
        case "in a thread":
            threading.Thread(target=args.get_deferral().complete).start()
        case _:
            pass
