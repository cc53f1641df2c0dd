"""The table of recipients: every type has one, and nothing else decides."""

from __future__ import annotations

import pytest

from tocsin.protocol.delivery import recipients
from tocsin.protocol.delivery.recipients import RECIPIENTS, Recipient, goes_to, taken_by, withheld_from
from tocsin.protocol.values import NotificationType


def test_every_type_has_its_row() -> None:
    """And goes to somewhere: a payload that goes nowhere would end unhandled each time."""
    assert RECIPIENTS.keys() == set(NotificationType)
    assert all(RECIPIENTS.values())


@pytest.mark.parametrize("recipient", Recipient)
def test_the_table_is_all_that_decides(recipient: Recipient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is taken out of a recipient's column goes there no more; the others still do."""
    before = withheld_from(recipient)
    kind = next(kind for kind in RECIPIENTS if kind not in before)
    others = RECIPIENTS[kind] - {recipient}
    monkeypatch.setattr(recipients, "RECIPIENTS", {**RECIPIENTS, kind: others})
    assert not goes_to(kind, recipient)
    assert withheld_from(recipient) == before | {kind}
    assert taken_by([recipient]) == RECIPIENTS.keys() - before - {kind}
    assert all(goes_to(kind, other) for other in others)


def test_what_is_shown_is_no_background_work() -> None:
    """A toast, a tile or a badge wakes no app; a raw payload is for the app alone, and so is a message of Web Push."""
    shown = {NotificationType.TOAST, NotificationType.TILE, NotificationType.BADGE}
    assert taken_by([Recipient.SHELL]) == shown
    assert taken_by([Recipient.BACKGROUND]) == {NotificationType.RAW, NotificationType.PUSH}
    assert taken_by([Recipient.FOREGROUND]) == set(NotificationType)
    assert taken_by([]) == frozenset()
