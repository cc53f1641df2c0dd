"""What is wrong with PostgreSQL is said in a sentence, and no password is in it."""

from __future__ import annotations

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.persistence.postgres_words import event_of, is_lost, name_of, sentence
from tocsin.protocol.kernel.durability import Event


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://user:secret@host:5432/db", "PostgreSQL at host:5432/db"),
        ("postgres://host", "PostgreSQL at host"),
        ("postgresql://user@/db?host=/run/postgresql", "PostgreSQL at /db"),
        ("postgresql://a:1,b:2/db", "PostgreSQL at a:1,b:2/db"),
        ("postgresql:///?password=secret", "PostgreSQL"),
        ("host=h password=secret", "PostgreSQL"),
    ],
)
def test_a_database_is_called_by_its_place(url: str, name: str) -> None:
    """Not by its user, and not by what else is in the URL."""
    assert name_of(url) == name


@given(
    password=st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=8),
    form=st.sampled_from(
        ["postgresql://u:<{}>@host/db", "postgresql://host/db?password=<{}>", "postgresql://u@h/db?a=b@c&password=<{}>"]
    ),
)
def test_no_password_is_shown(password: str, form: str) -> None:
    """Whatever characters it has, those included that a URL should not have as they are."""
    name = name_of(form.format(password))
    assert f"<{password}>" not in name
    assert not any(mark in name for mark in "<>")


def _postgres(state: str, text: str = "said") -> BaseException:
    """Build what a server says."""
    return asyncpg.PostgresError.new({"S": "ERROR", "C": state, "M": text, "D": "Key (secret) is there"})


@pytest.mark.parametrize(
    ("failure", "text", "event"),
    [
        (TimeoutError(), "does not answer", Event.FAILED),
        (ConnectionRefusedError(111, "Connection refused"), "cannot be reached: Connection refused", Event.FAILED),
        (_postgres("28P01"), "does not let this user in: said", Event.REFUSED),
        (_postgres("3D000"), "has no such database: said; make it with createdb", Event.REFUSED),
        (_postgres("42501"), "does not allow this to its user: said", Event.REFUSED),
        (_postgres("23505"), "cannot be used: said", Event.REFUSED),
        (_postgres("XX001"), "cannot be used: said", Event.REFUSED),
        (_postgres("53100"), "cannot be written: its disk is full; make room there", Event.FAILED),
        (_postgres("53300"), "takes no more connections: said", Event.FAILED),
        (_postgres("25006"), "is read only: it is a copy of another server, or was set so", Event.FAILED),
        (_postgres("57P01"), "cannot be reached: said", Event.FAILED),
        (_postgres("57P03"), "cannot be reached: said", Event.FAILED),
        (_postgres("55P03"), "cannot be used: said", Event.FAILED),
        (_postgres("40P01"), "cannot be used: said", Event.FAILED),
        (asyncpg.InterfaceError("connection is closed"), "cannot be reached: connection is closed", Event.FAILED),
        (
            asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
            "cannot be reached: the connection was lost",
            Event.FAILED,
        ),
        (asyncpg.DataError("secret"), "cannot keep a value: it is of another kind, or too large", Event.REFUSED),
        (UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "no"), "cannot be used: 'utf-8' codec can't", Event.REFUSED),
    ],
)
def test_each_failure_has_its_words(failure: BaseException, text: str, event: Event) -> None:
    """And tells whether to wait, or that the statement is wrong; details, which quote rows, are not shown."""
    said = sentence("PostgreSQL at host/db", failure)
    assert said.startswith(f"PostgreSQL at host/db {text}")
    assert "secret" not in said
    assert event_of(failure) is event


def test_a_connection_that_is_lost_is_told_from_a_refusal() -> None:
    """Only then is another one opened."""
    assert is_lost(asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"))
    assert not is_lost(_postgres("23505"))
    assert not is_lost(asyncpg.DataError("a value"))
