"""The public names: loaded when they are used, and the same for people and for type checkers."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import anyio
import pytest

import tocsin
import tocsin.calling
import tocsin.host
import tocsin.shell
import tocsin.testing

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package in (tocsin, tocsin.calling) for name in package.__all__]
)
def test_a_public_name_is_there(package: ModuleType, name: str) -> None:
    """Each can be had, and is listed."""
    assert getattr(package, name) is not None
    assert name in dir(package)


@pytest.mark.parametrize("package", [tocsin, tocsin.calling])
def test_type_checkers_see_the_same_names(package: ModuleType) -> None:
    """What is imported for them alone is exactly what is public, from where it is loaded."""
    tree = ast.parse(Path(package.__file__ or "").read_text(encoding="utf-8"))
    (checked,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == package._HOME_OF
    assert sorted(seen) == sorted(package.__all__)


@pytest.mark.parametrize("package", [tocsin, tocsin.calling])
def test_an_unknown_name_is_an_attribute_error(package: ModuleType) -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'nothing'"):
        _ = package.nothing


async def test_importing_loads_nothing_else() -> None:
    """A program that does not push pays nothing for the event loop, the database and the wire."""
    heavy = "('anyio', 'asyncio', 'attr', 'sqlite3')"
    script = f"import sys, tocsin, tocsin.calling; print([each for each in {heavy} if each in sys.modules])"
    done = await anyio.run_process([sys.executable, "-c", script])
    assert done.stdout.strip() == b"[]"


async def test_an_app_that_connects_loads_no_platform() -> None:
    """A push waits while a process starts: the actors, the database and the wire to the service are the agent's alone."""
    heavy = (
        "tocsin.actors",
        "tocsin.agent",
        "sqlite3",
        "websockets",
        "aiohttp",
        "httptools",
        "tomllib",
        "platformdirs",
    )
    script = f"import sys; from tocsin import connect; print([each for each in {heavy} if each in sys.modules])"
    done = await anyio.run_process([sys.executable, "-c", script])
    assert done.stdout.strip() == b"[]"


GIVEN = {
    "Badge",
    "Call",
    "CallAgent",
    "CallAgentChangedEventArgs",
    "CallEndReason",
    "CallEndedEventArgs",
    "CallEvent",
    "CallInfo",
    "CallStateChangedEventArgs",
    "CallerInfo",
    "CallerInfoChangedEventArgs",
    "CallsUpdatedEventArgs",
    "CommonCallAgent",
    "Conditions",
    "ConnectionStateChangedEventArgs",
    "CreateChannelOperation",
    "IncomingCall",
    "IncomingCallReceivedEventArgs",
    "LocalWns",
    "MadeArgs",
    "MadeChannel",
    "NetworkUsage",
    "ParticipantsUpdatedEventArgs",
    "PushNotificationChannel",
    "PushNotificationHandledEventArgs",
    "PushNotificationManager",
    "RemoteParticipant",
    "RingingStoppedEventArgs",
    "TeamsCallAgent",
    "Tiles",
    "ToastNotificationActivatedEventArgs",
    "ToastNotifier",
    "UnrungCallEndedEventArgs",
    "WebPushSubscription",
    "XmlElement",
}
"""Classes whose objects an app is given: what their constructors take is not for apps."""


def signatures(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    """Find all that has annotations: a function, or a class with its fields, properties and public methods."""
    if not inspect.isclass(thing):
        yield name, thing
        return
    yield name, thing
    for member, value in inspect.getmembers_static(thing):
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        public = not member.startswith("_") or (member == "__init__" and name not in GIVEN)
        if inspect.isfunction(function) and public and "not for apps" not in (function.__doc__ or ""):
            yield f"{name}.{member}", function


def types_in(hint: Any) -> Iterator[type]:
    """Take a hint apart, callables and their arguments included."""
    if isinstance(hint, list | tuple):
        for each in hint:
            yield from types_in(each)
    elif get_args(hint):
        yield from types_in(get_args(hint))
    elif isinstance(hint, type):
        yield hint


@pytest.mark.parametrize("module", [tocsin, tocsin.calling, tocsin.host, tocsin.shell, tocsin.testing])
def test_every_type_in_a_public_signature_is_public(module: ModuleType) -> None:
    """A caller that is given something, or has to give it, can name it: in an annotation, and to make one."""
    public = {getattr(each, name) for each in (tocsin, tocsin.host, tocsin.shell, module) for name in each.__all__}
    seen = 0
    missing = set()
    for name in module.__all__:
        for place, thing in signatures(name, getattr(module, name)):
            hints = get_type_hints(thing) if inspect.isclass(thing) or inspect.isfunction(thing) else {"": thing}
            for field, hint in hints.items():
                for kind in types_in(hint):
                    seen += 1
                    if kind.__module__.startswith("tocsin") and kind not in public and not field.startswith("_"):
                        missing.add(f"{place} {field}: {kind.__qualname__}")
    assert seen > 20
    assert missing == set()


def test_every_public_name_is_in_the_reference_once() -> None:
    """The pages of ``docs/reference`` have each name of the packages, and none that there is not."""
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    shown = re.findall(r"^\.\. auto(?:class|data|function):: (\S+)$", pages, re.MULTILINE)
    public = [
        f"{package.__name__}.{name}" for package in (tocsin, tocsin.calling, tocsin.testing) for name in package.__all__
    ]
    assert sorted(shown) == sorted(public)
