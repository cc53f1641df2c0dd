"""What a service manager says to a process by environment variables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.service_manager import (
    MOST_PASSED,
    VARIABLES,
    choose_socket,
    notify_address,
    passed_sockets,
    watchdog_interval,
)

ME = 42


class TestPassedSockets:
    """LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES."""

    def test_they_are_numbered_from_three_and_named_in_order(self) -> None:
        """As sd_listen_fds_with_names(3) has it."""
        given = {"LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "agent:other"}
        assert passed_sockets(given, ME) == {3: "agent", 4: "other"}

    def test_without_names_each_is_unknown(self) -> None:
        """So says the manual."""
        assert passed_sockets({"LISTEN_PID": "42", "LISTEN_FDS": "1"}, ME) == {3: "unknown"}

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"LISTEN_FDS": "1"},
            {"LISTEN_PID": "42"},
            {"LISTEN_PID": "42", "LISTEN_FDS": "0"},
            {"LISTEN_PID": "41", "LISTEN_FDS": "1"},
            {"LISTEN_PID": "41", "LISTEN_FDS": "many", "LISTEN_FDNAMES": "a:b"},
        ],
    )
    def test_what_is_not_for_this_process_is_none_of_its_business(self, given: dict[str, str]) -> None:
        """However wrong it is."""
        assert passed_sockets(given, ME) == {}

    @pytest.mark.parametrize(
        ("given", "word"),
        [
            ({"LISTEN_PID": "me", "LISTEN_FDS": "1"}, "LISTEN_PID is 'me'"),
            ({"LISTEN_PID": "42", "LISTEN_FDS": "-1"}, "LISTEN_FDS is '-1'"),
            ({"LISTEN_PID": "42", "LISTEN_FDS": "9" * 30}, "whole number"),
            ({"LISTEN_PID": "42", "LISTEN_FDS": str(MOST_PASSED + 1)}, "17 sockets are passed, of 16 at most"),
            ({"LISTEN_PID": "42", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "one"}, "1 names for 2 sockets"),
        ],
    )
    def test_what_cannot_be_right_is_refused_in_words(self, given: dict[str, str], word: str) -> None:
        """The launcher is wrong, and its author has to know where."""
        with pytest.raises(InvalidArgument, match=word):
            passed_sockets(given, ME)


class TestChoice:
    """The socket for apps."""

    def test_the_only_one_is_it_whatever_its_name(self) -> None:
        """Systemd names it as the unit."""
        assert choose_socket({3: "tocsin-agent.socket"}) == 3

    def test_of_several_it_is_the_one_that_is_called_agent(self) -> None:
        """FileDescriptorName=agent says so."""
        assert choose_socket({3: "metrics", 4: "agent"}) == 4

    @pytest.mark.parametrize("names", [{3: "a", 4: "b"}, {3: "agent", 4: "agent"}])
    def test_of_several_that_are_alike_none_is_guessed(self, names: dict[int, str]) -> None:
        """The names are told."""
        with pytest.raises(InvalidArgument, match=r"2 sockets are passed \('a.*', '.*'\)"):
            choose_socket(names)


class TestNotes:
    """NOTIFY_SOCKET."""

    @pytest.mark.parametrize(
        ("given", "address"), [("/run/notify", "/run/notify"), ("@abc", "\0abc"), ("", None), (None, None)]
    )
    def test_it_is_a_path_or_an_abstract_name(self, given: str | None, address: str | None) -> None:
        """Linux writes the latter with a zero byte."""
        assert notify_address({} if given is None else {"NOTIFY_SOCKET": given}) == address

    @pytest.mark.parametrize("given", ["relative", "@", "/", "vsock:2:1234"])
    def test_any_other_address_is_refused(self, given: str) -> None:
        """Nothing would be heard there."""
        with pytest.raises(InvalidArgument, match="begin with"):
            notify_address({"NOTIFY_SOCKET": given})


class TestWatchdog:
    """WATCHDOG_USEC and WATCHDOG_PID."""

    @pytest.mark.parametrize(
        ("given", "seconds"),
        [
            ({}, None),
            ({"WATCHDOG_USEC": "300000000"}, 300.0),
            ({"WATCHDOG_USEC": "300000000", "WATCHDOG_PID": "42"}, 300.0),
            ({"WATCHDOG_USEC": "300000000", "WATCHDOG_PID": "41"}, None),
            ({"WATCHDOG_USEC": "0"}, None),
        ],
    )
    def test_it_is_in_seconds_for_this_process_only(self, given: dict[str, str], seconds: float | None) -> None:
        """As sd_watchdog_enabled(3) has it."""
        assert watchdog_interval(given, ME) == seconds

    def test_what_is_no_number_is_refused(self) -> None:
        """In words."""
        with pytest.raises(InvalidArgument, match="WATCHDOG_USEC is 'soon'"):
            watchdog_interval({"WATCHDOG_USEC": "soon"}, ME)


@given(st.dictionaries(st.sampled_from(VARIABLES), st.text() | st.integers(0, 99).map(str)))
def test_whatever_stands_there_is_read_or_refused(variables: dict[str, str]) -> None:
    """No other error comes of it, and never more sockets than the bound."""
    for read in (
        lambda: passed_sockets(variables, ME),
        lambda: notify_address(variables),
        lambda: watchdog_interval(variables, ME),
    ):
        try:
            found = read()
        except InvalidArgument:
            continue
        assert not isinstance(found, dict) or len(found) <= MOST_PASSED
