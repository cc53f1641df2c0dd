"""Which dead letters are kept."""

from __future__ import annotations

import pytest

from tocsin.protocol.delivery.dead_letter_policy import DeadLetterPolicy


def test_the_age_is_in_days() -> None:
    """Ninety of them, unless it is said otherwise."""
    assert DeadLetterPolicy().oldest(7_776_001.0) == 1.0
    assert DeadLetterPolicy(days=0.5).oldest(43_200.0) == 0.0


@pytest.mark.parametrize("choice", [{"keep": -1}, {"days": 0.0}])
def test_what_cannot_be_meant_is_refused(choice: dict[str, int]) -> None:
    """None may be kept, but not fewer; and not for no time."""
    with pytest.raises(ValueError, match=next(iter(choice))):
        DeadLetterPolicy(**choice)
