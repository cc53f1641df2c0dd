"""Tokens of calls: what they say of their user, and that nothing of one is shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.calling.jwts import SIGNATURE, jwt, part
from tocsin.protocol.calling.call_token import MAX_CALL_TOKEN, CallTokenClaims, CallTokenKind, read_call_token
from tocsin.protocol.calling.raw_id import read_raw_id
from tocsin.protocol.errors import InvalidArgument

CLAIMS: dict[str, Any] = {
    "sub": "8:acs:contoso_ann",
    "kind": "acs",
    "exp": 1_800_000_000,
    "iat": 1_799_913_600,
    "jti": "s3cret",
}


def changed(**changes: Any) -> str:
    """Write a token with other claims; those that are None are left out."""
    return jwt({name: value for name, value in (CLAIMS | changes).items() if value is not None})


def test_a_token_says_who_and_until_when() -> None:
    """Blanks around it, as of a file's last line, are no part of it."""
    read = CallTokenClaims(read_raw_id("8:acs:contoso_ann"), CallTokenKind.ACS, 1_800_000_000.0)
    assert read_call_token(jwt(CLAIMS)) == read
    assert read_call_token(f"  {jwt(CLAIMS)}\n") == read


def test_a_teams_user_has_a_token_of_another_kind() -> None:
    """And a moment may have a fraction."""
    teams = "8:orgid:6b8f2c1e-0d47-4a51-9c3e-77aa00bb11cc"
    read = read_call_token(changed(sub=teams, kind="teams", exp=5.5))
    assert read == CallTokenClaims(read_raw_id(teams), CallTokenKind.TEAMS, 5.5)


@pytest.mark.parametrize("padding", ["", "=", "=="])
def test_a_part_may_be_padded(padding: str) -> None:
    """As some write it, although the standard leaves the padding out."""
    head, middle, signature = jwt(CLAIMS).split(".")
    assert read_call_token(f"{head}.{middle}{padding}.{signature}").kind is CallTokenKind.ACS


TWICE = b'{"sub": "8:acs:a_b", "sub": "8:acs:a_c", "kind": "acs", "exp": 1}'
REFUSED: dict[str, str] = {
    "": "the token is no JWT, which has three parts",
    "s3cret": "the token is no JWT, which has three parts",
    "a.b": "the token is no JWT, which has three parts",
    "a.b.c.d": "the token is no JWT, which has three parts",
    "..": "the middle part is no JSON that is read",
    "a.s3cret!.c": "the middle one is no base64url",
    "a.ü.c": "the middle one is no base64url",
    "a.b.c": "the middle one is no base64url",
    "\ud800.\ud800.\ud800": "the middle one is no base64url",
    f"a.{part(b'no json s3cret')}.c": "the middle part is no JSON that is read",
    f"a.{part(b'[' * 3000)}.c": "the middle part is no JSON that is read",
    f"a.{part(b'9' * 5000)}.c": "the middle part is no JSON that is read",
    f"a.{part(TWICE)}.c": "the middle part is no JSON that is read",
    jwt(["s3cret"]): "the middle part is no JSON object",
    jwt(None): "the middle part is no JSON object",
    "x" * (MAX_CALL_TOKEN + 1): "the token has more than 8192 characters",
    changed(sub=None): "names no user: its claim sub must be a raw id",
    changed(sub=5): "names no user",
    changed(sub=""): "names no user",
    changed(sub="s3cret s3cret"): "names no user",
    changed(kind=None): "its claim kind must be acs or teams",
    changed(kind="s3cret"): "its claim kind must be acs or teams",
    changed(kind=["acs"]): "its claim kind must be acs or teams",
    changed(exp=None): "its claim exp must be a number of seconds",
    changed(exp="1800000000"): "its claim exp must be a number of seconds",
    changed(exp=True): "its claim exp must be a number of seconds",
    changed(exp=0): "its claim exp must be a number of seconds",
    changed(exp=-1): "its claim exp must be a number of seconds",
    changed(exp=1e300): "its claim exp must be a number of seconds",
    changed(exp=10**400): "its claim exp must be a number of seconds",
    changed(exp=float("nan")): "the middle part is no JSON that is read",
}


@pytest.mark.parametrize("token", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_token_is_refused_without_showing_it(token: str) -> None:
    """With the HRESULT that the SDK for Windows fails with."""
    with pytest.raises(InvalidArgument) as caught:
        read_call_token(token)
    assert REFUSED[token] in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.hresult == 0x80070057
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", [None, 5, b"a.b.c", ["a"]])
def test_only_text_is_a_token(value: Any) -> None:
    """Nothing else is turned into text."""
    with pytest.raises(InvalidArgument, match="the token must be text"):
        read_call_token(value)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(list(CLAIMS.values())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.text(max_size=60)
    | st.binary(max_size=60).map(lambda noise: f"a.{part(noise)}.{SIGNATURE}")
    | VALUES.map(jwt)
    | st.dictionaries(st.sampled_from([*CLAIMS, "x"]), VALUES, max_size=5).map(jwt)
)
def test_any_text_is_a_token_or_is_refused(text: str) -> None:
    """Nothing else is ever raised."""
    try:
        claims = read_call_token(text)
    except InvalidArgument:
        return
    assert claims.expires > 0
