"""The table of recipients: every type has one, and nothing else decides."""

from __future__ import annotations

import pytest

from tocsin.protocol.delivery import recipients
from tocsin.protocol.delivery.recipients import RECIPIENTS, Recipient, goes_to, withheld_from
from tocsin.protocol.values import NotificationType


def test_every_type_has_its_row() -> None:
    """And goes to somewhere: a payload that goes nowhere would end unhandled each time."""
    assert RECIPIENTS.keys() == set(NotificationType)
    assert all(RECIPIENTS.values())


@pytest.mark.parametrize("recipient", Recipient)
def test_the_table_is_all_that_decides(recipient: Recipient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is taken out of a recipient's column goes there no more; the others still do."""
    others = RECIPIENTS[NotificationType.TOAST] - {recipient}
    monkeypatch.setattr(recipients, "RECIPIENTS", {**RECIPIENTS, NotificationType.TOAST: others})
    assert [goes_to(kind, recipient) for kind in ("raw", "toast", "tile", "badge")] == [True, False, True, True]
    assert withheld_from(recipient) == {"toast"}
    assert all(goes_to("toast", other) for other in others)
