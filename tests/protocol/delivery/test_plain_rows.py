"""The fields of a plain row, by their names."""

from __future__ import annotations

import pytest

from tocsin.protocol.delivery import plain_rows
from tocsin.protocol.messages import PayloadRow
from tocsin.protocol.toast_label import LabelText
from tocsin.protocol.values import NotificationType

ROW = PayloadRow(7, "id7", NotificationType.TOAST, b"ding", 2, 3.5, "c1", LabelText("tag/group"), 4.5)
READ = {name.removesuffix("_of"): read for name, read in vars(plain_rows).items() if name.endswith("_of")}


@pytest.mark.parametrize("field", PayloadRow._fields)
def test_a_plain_row_is_read_as_one_with_names(field: str) -> None:
    """Each function returns the field of its name, whether the row knows names or not."""
    assert READ[field](tuple(ROW)) == READ[field](ROW) == getattr(ROW, field)
