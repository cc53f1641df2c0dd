"""The parameters of Authorization, Encryption and Crypto-Key."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.webpush.header_parameters import MAX_PARAMETERS, read_parameters


def test_commas_part_entries_and_semicolons_part_parameters() -> None:
    """As in Crypto-Key with the keys of two purposes; blanks and quotes change nothing."""
    value = 'keyid=p256dh;dh=AA==, keyid = "p256ecdsa" ; P256ECDSA="B-B"'
    assert read_parameters(value) == [
        {"keyid": "p256dh", "dh": "AA=="},
        {"keyid": "p256ecdsa", "p256ecdsa": "B-B"},
    ]


@pytest.mark.parametrize(
    "value", ["salt", "=a", "a=b c=d", 'a="b', 'a="b"c', 'a="\\""', "a=b;a=c", "a=b;;c=d", " ", "ä=b"]
)
def test_what_is_written_otherwise_is_refused(value: str) -> None:
    """Neither is a part passed over, nor is the first or last of two taken."""
    with pytest.raises(ValueError, match="parameter"):
        read_parameters(value)


@given(st.text(st.sampled_from('ab=;," \t\\ä'), max_size=30))
def test_nothing_else_is_raised(value: str) -> None:
    """Any text is parameters or a ValueError."""
    with contextlib.suppress(ValueError):
        assert len(read_parameters(value)) <= value.count(",") + 1


@pytest.mark.parametrize("name", ["", "t"])
@pytest.mark.parametrize("end", ['"', "\v", "b c", '"x'])
def test_very_many_blanks_are_read_past_in_one_go(name: str, end: str) -> None:
    """Looking at each place among them anew would take minutes, in which a service does nothing else."""
    with pytest.raises(ValueError, match="written name=value"):
        read_parameters(f"{name}={' ' * 200_000}{end}")


def test_more_parameters_than_any_sender_has_are_refused() -> None:
    """However short they are, so that few bytes do not cost much."""
    value = ";".join(f"p{number}=" for number in range(MAX_PARAMETERS))
    assert len(read_parameters(value)[0]) == MAX_PARAMETERS
    with pytest.raises(ValueError, match="64 parameters"):
        read_parameters(f"{value};more=1")
