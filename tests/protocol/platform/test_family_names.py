"""A package family name in the place of a remote id."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import remote_ids
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.channel_request import by_family, family_of, parse_remote_id
from tocsin.protocol.values import MAX_APP_NAME


@given(st.text("aB_. :é", min_size=1, max_size=MAX_APP_NAME).filter(str.strip))
def test_a_family_name_comes_out_as_it_went_in_and_is_no_remote_id(name: str) -> None:
    """Whatever it looks like."""
    assert family_of(by_family(name)) == name
    with pytest.raises(InvalidArgument, match="GUID"):
        parse_remote_id(by_family(name))


@given(remote_ids())
def test_a_remote_id_is_no_family_name(remote_id: UUID) -> None:
    """In the spelling in which a device sends it."""
    assert family_of(str(parse_remote_id(remote_id))) is None


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a" * (MAX_APP_NAME + 1)])
def test_what_is_no_family_name_is_refused(name: str) -> None:
    """By the rule that the service's registry has."""
    with pytest.raises(InvalidArgument, match="a package family name has 1 to 128"):
        by_family(name)
