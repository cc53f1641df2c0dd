"""Who may see the page."""

from __future__ import annotations

import pytest

from tocsin.service.page.access import PageRight, right

TABLE = {
    # has_token, is_proven, is_ours
    (True, True, True): PageRight.SEES,
    (True, True, False): PageRight.SEES,
    (True, False, True): PageRight.ASKED,
    (True, False, False): PageRight.ASKED,
    (False, False, True): PageRight.SEES,
    (False, False, False): PageRight.HIDDEN,
}


@pytest.mark.parametrize("facts", TABLE)
def test_the_table_of_rights(facts: tuple[bool, bool, bool]) -> None:
    """With a token all need it, also this machine, behind whose proxy others may be; without one there is none to ask for."""
    has_token, is_proven, is_ours = facts
    assert right(has_token=has_token, is_proven=is_proven, is_ours=is_ours) is TABLE[facts]
