"""What connectors ask and are answered, in both versions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.unifiedpush.distributor_call import (
    MAX_DESCRIPTION,
    MAX_TOKEN,
    Reason,
    RegisterCall,
    RegistrationRefusal,
    answer_to_register,
    check_service,
    read_register,
    read_unregister,
)
from tocsin.protocol.webpush.base64url import encode

KEY = b"\x04" + bytes(range(64))
PADDED = encode(KEY) + "="


def asked(**values: Any) -> list[Any]:
    """Write the dictionary of version 2; a pair is taken with its own signature."""
    given = {"service": "org.example.App", "token": "t"} | values
    return [{name: value if isinstance(value, tuple) else ("s", value) for name, value in given.items()}]


def test_both_versions_say_the_same() -> None:
    """But for the key, which only the second one has."""
    expected = RegisterCall(1, "org.example.App", "t", "Chat", None)
    assert read_register(1, ["org.example.App", "t", "Chat"]) == expected
    found = read_register(2, asked(description="Chat", vapid=PADDED))
    assert found == RegisterCall(2, "org.example.App", "t", "Chat", KEY)


def test_what_is_not_known_is_passed_over() -> None:
    """A later version may say more."""
    assert read_register(2, asked(colour=("u", 7))) == RegisterCall(2, "org.example.App", "t", "", None)


@pytest.mark.parametrize("vapid", ["x", "+" * 87, encode(b"\x02" + bytes(32)), encode(KEY[:-1]), encode(KEY) * 2])
def test_a_key_that_is_none_is_refused_in_words(vapid: str) -> None:
    """Compressed, cut, doubled, or in another alphabet: the app reads that it needs a key."""
    found = read_register(2, asked(vapid=vapid))
    assert isinstance(found, RegistrationRefusal)
    assert found.reason is Reason.VAPID_REQUIRED
    assert "65 bytes" in found.words


@pytest.mark.parametrize(
    "values",
    [
        {"service": ""},
        {"service": "alone"},
        {"service": ":1.7"},
        {"service": "org..App"},
        {"service": "org.7App"},
        {"service": "org." + "x" * 255},
        {"token": ""},
        {"token": "x" * (MAX_TOKEN + 1)},
        {"token": "ü" * 51},
        {"token": ("u", 7)},
        {"token": ("ay", b"t")},
        {"vapid": ("ay", KEY)},
        {"description": ("v", "x")},
    ],
)
def test_malformed_calls_are_refused(values: dict[str, Any]) -> None:
    """No name of a service, no token, or of another type than the specification has."""
    with pytest.raises(ProtocolViolation):
        read_register(2, asked(**values))


def test_an_app_that_cannot_be_reached_is_refused() -> None:
    """It reads what would be right."""
    check_service("org.example.App", there=True)
    with pytest.raises(ProtocolViolation, match="own the name before Register"):
        check_service("org.example.App", there=False)


def test_what_is_missing_is_said() -> None:
    """By its name."""
    with pytest.raises(ProtocolViolation, match="token is a text"):
        read_register(2, [{"service": ("s", "org.example.App")}])
    with pytest.raises(ProtocolViolation, match="token is a text"):
        read_unregister(2, [{}])


def test_the_token_stays_out_of_what_is_shown() -> None:
    """It is what lets an app unregister another."""
    assert "secret" not in repr(read_register(1, ["org.example.App", "secret", ""]))


def test_a_token_ends_a_registration_in_both_versions() -> None:
    """It alone."""
    assert read_unregister(1, ["t"]) == read_unregister(2, [{"token": ("s", "t")}]) == "t"
    with pytest.raises(ProtocolViolation):
        read_unregister(1, [""])


@given(st.text(max_size=2 * MAX_DESCRIPTION))
def test_a_description_is_bounded_and_harmless(text: str) -> None:
    """It is shown to the user."""
    found = read_register(1, ["org.example.App", "t", text])
    assert isinstance(found, RegisterCall)
    assert len(found.description) <= MAX_DESCRIPTION
    assert found.description.isprintable()


def test_answers_have_the_words_of_the_specification() -> None:
    """Version 1 answers two texts, version 2 a dictionary, with a reason only where it was refused."""
    refusal = RegistrationRefusal(Reason.NETWORK, "away")
    assert answer_to_register(1, None) == ["REGISTRATION_SUCCEEDED", ""]
    assert answer_to_register(1, refusal) == ["REGISTRATION_FAILED", "NETWORK"]
    assert answer_to_register(2, None) == [{"success": ("s", "REGISTRATION_SUCCEEDED")}]
    assert answer_to_register(2, refusal) == [{"success": ("s", "REGISTRATION_FAILED"), "reason": ("s", "NETWORK")}]
