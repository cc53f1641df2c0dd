"""Arguments of toasts: the vectors of the toolkit and of the SDK, and that what is written is read as it was."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import InvalidArgument, NotFound
from tocsin.protocol.toasts.toast_arguments import ToastArguments

NAMES = st.text(min_size=1, max_size=12)
VALUES = st.none() | st.text(max_size=12)


class Colour(Enum):
    """An enumeration of an app."""

    RED = 3


@pytest.mark.parametrize(
    ("pairs", "text"),
    [
        ([], ""),
        ([("action", "accept"), ("userId", 542)], "action=accept;userId=542"),
        ([("name;company", "Andrew;Microsoft")], "name%3Bcompany=Andrew%3BMicrosoft"),
        ([("sale", "20% off!")], "sale=20%25 off!"),
        ([("x", "Nonsense %26 %25 %3D")], "x=Nonsense %2526 %2525 %253D"),
        ([("flag", None), ("empty", "")], "flag;empty="),
        (
            [("yes", True), ("no", False), ("half", 0.5), ("big", 10**20)],
            "yes=1;no=0;half=0.5;big=100000000000000000000",
        ),
        ([("colour", Colour.RED)], "colour=3"),
        ([("a&b", '<"c">')], 'a&b=<"c">'),
    ],
)
def test_it_is_written_as_the_toolkit_writes_it(pairs: list[tuple[str, Any]], text: str) -> None:
    """Only the three characters that part the pairs are written as codes; numbers are the same in every country."""
    arguments = ToastArguments()
    for name, value in pairs:
        assert arguments.add(name, value) is arguments
    assert str(arguments) == text
    assert repr(arguments) == f"ToastArguments.parse({text!r})"


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (None, []),
        ("", []),
        ("  ", []),
        (";;", []),
        ("%3B/?:@&%3D+$%", [(";/?:@&=+$%", None)]),
        ("a=%253B", [("a", "%3B")]),
        ("a=1=2", [("a", "1=2")]),
        ("a=%3d%20", [("a", "%3d%20")]),
        ("flag;k=", [("flag", None), ("k", "")]),
        ("a=1;b=2;a=3", [("a", "3"), ("b", "2")]),
        ("A=1;a=2", [("A", "1"), ("a", "2")]),
    ],
)
def test_each_code_is_read_once(text: str | None, pairs: list[tuple[str, str | None]]) -> None:
    """The toolkit reads ``%253B`` as a semicolon; the last value of a name counts, at the place of the first."""
    assert list(ToastArguments.parse(text).items()) == pairs


@given(st.dictionaries(NAMES.filter(str.strip), VALUES, max_size=6))
def test_what_is_written_is_read(values: dict[str, str | None]) -> None:
    """Whatever the names and values are."""
    arguments = ToastArguments()
    arguments.update(values)
    assert dict(ToastArguments.parse(str(arguments))) == values


@given(st.text(alphabet="%;=235BD a", max_size=30))
def test_what_is_read_can_be_written(text: str) -> None:
    """Any text is some arguments, which stay the same from then on."""
    once = ToastArguments.parse(text)
    assert dict(ToastArguments.parse(str(once))) == {n: v for n, v in once.items() if n.strip() or v is not None}


def test_values_are_asked_for_by_what_they_are() -> None:
    """What is not there, or is something else, is said."""
    arguments = ToastArguments.parse("n=7;x=1.5;yes=1;no=0;t=a;flag")
    assert (arguments.get_int("n"), arguments.get_float("x"), arguments.get_text("t")) == (7, 1.5, "a")
    assert (arguments.get_bool("yes"), arguments.get_bool("no"), arguments.get_bool("t")) == (True, False, False)
    assert arguments.get("missing") is None
    for name in ("missing", "flag"):
        with pytest.raises(NotFound, match="with a value"):
            arguments.get_text(name)
    with pytest.raises(InvalidArgument, match="no whole number: 'a'"):
        arguments.get_int("t")
    with pytest.raises(InvalidArgument, match="no number: 'a'"):
        arguments.get_float("t")
    del arguments["flag"]
    assert len(arguments) == 5


@pytest.mark.parametrize("wrong", [b"x", [1], float("nan"), object()])
def test_what_cannot_be_written_is_refused(wrong: Any) -> None:
    """And changes nothing."""
    arguments = ToastArguments()
    with pytest.raises(InvalidArgument):
        arguments.add("a", wrong)
    with pytest.raises(InvalidArgument, match="must not be empty"):
        arguments.add("", "x")
    assert str(arguments) == ""
