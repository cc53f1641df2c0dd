"""What works within ``async with`` only says so where that was forgotten."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

import tocsin

MADE: dict[str, Callable[[], Any]] = {
    "'async with tocsin.embedded(...) as manager:'": lambda: tocsin.embedded("contoso.mail", "/nonexistent/state"),
    "'async with tocsin.connect(...) as manager:'": lambda: tocsin.connect("contoso.mail"),
    "'async with tocsin.WnsClient(...) as client:'": lambda: tocsin.WnsClient("id", "secret"),
}
"""What makes each, by the line that is right."""

MANAGERS = [line for line in MADE if "manager" in line]


@pytest.mark.parametrize("line", MADE)
async def test_one_that_is_awaited_says_how_it_is_entered(line: str) -> None:
    """As is one that is entered by ``with`` alone, and nothing was begun."""
    with pytest.raises(tocsin.NotEntered) as refused:
        await MADE[line]()
    assert str(refused.value) == f"this is entered, not awaited: write {line}"
    with pytest.raises(tocsin.NotEntered) as refused, MADE[line]():
        raise AssertionError("it was entered")
    assert str(refused.value) == f"'with' does not enter this: write {line}"
    assert refused.value.hresult is tocsin.HResult.E_ILLEGAL_METHOD_CALL


@pytest.mark.parametrize("line", MANAGERS)
def test_one_that_is_taken_for_the_manager_says_who_has_it(line: str) -> None:
    """Whatever is asked of it; code that asks whether it has an attribute is told that it has not."""
    made = MADE[line]()
    for name in ("create_channel", "open_channel", "toasts"):
        with pytest.raises(tocsin.NotEntered) as refused:
            getattr(made, name)
        assert str(refused.value) == f"only the block that is entered has a manager with {name}: write {line}"
        assert isinstance(refused.value, tocsin.IllegalCall)
        assert not hasattr(made, name)
    assert isawaitable(made)


async def test_one_that_was_entered_is_not_entered_again(tmp_path: Path) -> None:
    """It says so, and the block that goes on is left alone."""
    made = tocsin.embedded("contoso.mail", tmp_path, sensors=())
    refusal = r"^this was entered before, and each is entered once: write 'async with tocsin.embedded\(...\) as manager:' again$"
    async with made as manager:
        with pytest.raises(tocsin.IllegalCall, match=refusal):
            await made.__aenter__()
        assert (await manager.open_channel()).uri
    with pytest.raises(tocsin.IllegalCall, match=refusal):
        await made.__aenter__()


async def test_a_client_that_is_not_entered_sends_nothing() -> None:
    """It says the same."""
    client = tocsin.WnsClient("id", "secret")
    with pytest.raises(
        tocsin.IllegalCall, match=r"the client is not open: 'async with tocsin.WnsClient\(...\) as client:'"
    ):
        await client.send("http://127.0.0.1/w/?token=t", "body")
