"""The label of a payload: each has one text, and no other text is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import toast_labels
from tocsin.protocol.toast_label import MAX_NAME, NO_LABEL, ToastLabel, is_label


@given(toast_labels())
def test_a_label_comes_back_as_it_was(label: ToastLabel) -> None:
    """Whichever of its parts there are."""
    assert ToastLabel.read(label.text) == label


@given(st.text(max_size=40) | st.text("aZ09/! ", max_size=40))
def test_a_text_is_the_label_that_it_reads_as_or_none(text: str) -> None:
    """There are no two texts for one label."""
    if is_label(text):
        assert ToastLabel.read(text).text == text
    else:
        with pytest.raises(ValueError, match="a label is a tag, '/' and a group, '!', each of them or none, not"):
            ToastLabel.read(text)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("", ToastLabel()),
        ("t", ToastLabel("t")),
        ("/g", ToastLabel(group="g")),
        ("t/g", ToastLabel("t", "g")),
        ("!", ToastLabel(suppress_popup=True)),
        ("t/g!", ToastLabel("t", "g", suppress_popup=True)),
        ("x" * MAX_NAME + "/" + "y" * MAX_NAME, ToastLabel("x" * MAX_NAME, "y" * MAX_NAME)),
    ],
)
def test_what_a_text_says(text: str, label: ToastLabel) -> None:
    """It stands in stores and on the wire, so it never changes its meaning."""
    assert ToastLabel.read(text) == label
    assert label.text == text
    assert ToastLabel().text == NO_LABEL


@pytest.mark.parametrize(
    "text", ["/", "a/", "a//b", "!a", "a!!", "a b", "ä", "٣", "x" * 17, "a/" + "y" * 17, "a\n", "x" * 10**6]
)
def test_what_is_none_is_refused_in_few_words(text: str) -> None:
    """However long it is."""
    assert not is_label(text)
    with pytest.raises(ValueError, match="a label is a tag") as refused:
        ToastLabel.read(text)
    assert len(str(refused.value)) < 200
