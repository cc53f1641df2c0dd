"""The sessions of apps: what is handed over to them, and what they are told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers import waiting_messages
from tocsin.actors.sessions import Sessions
from tocsin.mailbox import Mailbox
from tocsin.protocol.messages import Done
from tocsin.protocol.messages.codec import encode

FRAME = encode(Done(1))


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """Return the mailbox of a session with room for one frame."""
    with Mailbox("mail/1", capacity=1) as mailbox:
        yield mailbox


@pytest.fixture
def sessions(mailbox: Mailbox) -> Sessions:
    """Return the sessions of which this is the only one."""
    sessions = Sessions()
    sessions.add("mail", mailbox)
    return sessions


def test_a_session_takes_a_frame(sessions: Sessions, mailbox: Mailbox) -> None:
    """It waits in its mailbox."""
    assert sessions.hand_over("mail/1", FRAME)
    assert waiting_messages(mailbox) == [Done(1)]


def test_a_session_that_was_never_there_takes_nothing(sessions: Sessions, mailbox: Mailbox) -> None:
    """Nor does one without a name, which is that of no session."""
    assert not sessions.hand_over("mail/2", FRAME)
    assert not sessions.hand_over("", FRAME)
    assert not mailbox.depth


def test_a_session_that_has_gone_takes_nothing(sessions: Sessions, mailbox: Mailbox) -> None:
    """Its mailbox gets nothing more, and its answers are counted."""
    sessions.remove("mail/1")
    assert not sessions.hand_over("mail/1", FRAME)
    sessions.send("mail/1", Done(2))
    assert (mailbox.depth, sessions.unanswered, sessions.app_of("mail/1")) == (0, 1, None)


def test_a_session_that_reads_nothing_takes_no_more(sessions: Sessions, mailbox: Mailbox) -> None:
    """What it has not read stays, and it takes more once it has read."""
    assert sessions.hand_over("mail/1", FRAME)
    assert not sessions.hand_over("mail/1", encode(Done(2)))
    assert waiting_messages(mailbox) == [Done(1)]
    assert sessions.hand_over("mail/1", encode(Done(3)))


def test_a_session_that_is_leaving_takes_nothing(sessions: Sessions, mailbox: Mailbox) -> None:
    """Its mailbox is closed before it is forgotten."""
    mailbox.close()
    assert not sessions.hand_over("mail/1", FRAME)
    assert "mail/1" in sessions
    assert not mailbox.depth


def test_an_app_is_told_in_all_its_sessions(sessions: Sessions, mailbox: Mailbox) -> None:
    """Those of another app are not."""
    with Mailbox("mail/2") as second, Mailbox("chat/3") as other:
        sessions.add("mail", second)
        sessions.add("chat", other)
        sessions.send_to_app("mail", Done(1))
        assert [waiting_messages(each) for each in (mailbox, second, other)] == [[Done(1)], [Done(1)], []]
