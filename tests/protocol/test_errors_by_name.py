"""An error crosses from the platform to an app by the name of its class."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import tocsin
from tocsin.protocol.errors import PushError, error_of
from tocsin.protocol.hresult import HResult


def all_below(kind: type[PushError]) -> list[type[PushError]]:
    """Return a class and all that inherit from it, as far as they have been imported."""
    return [kind, *(each for below in kind.__subclasses__() for each in all_below(below))]


ERRORS = sorted({each for each in all_below(PushError) if each.__module__ == PushError.__module__}, key=str)


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_comes_out_as_the_class_that_it_was(kind: type[PushError]) -> None:
    """Its text and its code come with it, and it is of no other class."""
    error = error_of(kind.__name__, "what is wrong", int(HResult.ERROR_TIMEOUT))
    assert type(error) is kind
    assert str(error) == "what is wrong"
    assert error.hresult == HResult.ERROR_TIMEOUT


def test_no_error_that_the_platform_may_answer_with_stands_elsewhere() -> None:
    """One that is defined in another module would not be known by its name; the push service answers no app by names."""
    for module in pkgutil.walk_packages(tocsin.__path__, "tocsin."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    package = {each for each in all_below(PushError) if each.__module__.startswith("tocsin.")}
    elsewhere = package - set(ERRORS)
    assert [each for each in elsewhere if not each.__module__.startswith("tocsin.service.")] == []
    assert len(ERRORS) > 10


@pytest.mark.parametrize("name", ["", "ValueError", "SystemExit", "__class__", "pusherror", "PushError ", "error_of"])
def test_a_name_that_is_not_known_is_a_push_error(name: str) -> None:
    """No other class is ever made by its name, and what went wrong is still told."""
    error = error_of(name, "what is wrong", int(HResult.E_UNEXPECTED))
    assert type(error) is PushError
    assert str(error) == "what is wrong"
    assert error.hresult == HResult.E_UNEXPECTED
