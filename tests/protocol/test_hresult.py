"""Result codes and their names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.hresult import HResult, describe, named

CODES = {
    "S_OK": 0x00000000,
    "E_PENDING": 0x8000000A,
    "E_ILLEGAL_METHOD_CALL": 0x8000000E,
    "E_NOTIMPL": 0x80004001,
    "E_FAIL": 0x80004005,
    "E_UNEXPECTED": 0x8000FFFF,
    "E_ACCESSDENIED": 0x80070005,
    "ERROR_NOT_SUPPORTED": 0x80070000 + 50,
    "E_INVALIDARG": 0x80070000 + 87,
    "ERROR_OPERATION_IN_PROGRESS": 0x80070000 + 329,
    "ERROR_NOT_FOUND": 0x80070000 + 1168,
    "ERROR_NO_NETWORK": 0x80070000 + 1222,
    "ERROR_CANCELLED": 0x80070000 + 1223,
    "ERROR_ALREADY_REGISTERED": 0x80070000 + 1242,
    "ERROR_TIMEOUT": 0x80070000 + 1460,
    "RPC_S_SERVER_UNAVAILABLE": 0x80070000 + 1722,
    "SEC_E_ILLEGAL_MESSAGE": 0x80090326,
    "CERT_E_UNTRUSTEDROOT": 0x800B0109,
    "CERT_E_CN_NO_MATCH": 0x800B010F,
    "ERROR_INVALID_STATE": 0x80070000 + 5023,
}
"""What winerror.h says: the system's own errors are their numbers in facility 7."""


class TestCodes:
    """The numbers."""

    @pytest.mark.parametrize("name", CODES)
    def test_a_name_of_windows_has_the_number_of_windows(self, name: str) -> None:
        """A code that an app compares with Windows' own is the same."""
        assert HResult[name] == CODES[name]

    def test_the_other_codes_belong_to_the_push_platform(self) -> None:
        """Whatever winerror.h does not know lies in the facilities of push: 0x3E, and 0x804 for the connection."""
        others = [code for code in HResult if code.name not in CODES]
        facilities = {code.name[:4]: set[int]() for code in others}
        for code in others:
            facilities[code.name[:4]].add(code >> 16)
        assert facilities == {"WPN_": {0x803E}, "WNP_": {0x8804}}

    def test_no_code_has_two_names(self) -> None:
        """A number is described by one name."""
        assert len(HResult) == len(HResult.__members__)

    @pytest.mark.parametrize("code", HResult, ids=lambda code: code.name)
    def test_a_code_is_unsigned_and_only_success_is_not_a_failure(self, code: HResult) -> None:
        """The highest of 32 bits says that something failed."""
        assert 0 <= code < 2**32
        assert bool(code & 0x80000000) == (code is not HResult.S_OK)


class TestDescribe:
    """The words."""

    @pytest.mark.parametrize("code", HResult, ids=lambda code: code.name)
    def test_a_code_is_named_as_people_search_for_it(self, code: HResult) -> None:
        """By its name and by its eight digits, whether it comes as a code or as a number."""
        assert describe(int(code)) == str(code) == f"{code}" == f"{code.name} (0x{int(code):08X})"

    @pytest.mark.parametrize("code", HResult, ids=lambda code: code.name)
    def test_a_code_that_has_a_name_can_show_it(self, code: HResult) -> None:
        """As a number it is the same; one without a name stays what it is."""
        assert named(int(code)) is code
        assert named(0x80AB0001) == 0x80AB0001

    @given(st.integers(0, 2**32 - 1).filter(lambda code: code not in set(HResult)))
    def test_a_code_without_a_name_stays_a_number(self, code: int) -> None:
        """Its eight digits can still be searched for."""
        assert describe(code) == f"0x{code:08X}"
        assert len(describe(code)) == 10
