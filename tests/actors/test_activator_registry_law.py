"""The activator registry obeys its table: what it keeps, and what it tells the supervisor."""

from __future__ import annotations

import pytest

from tests.helpers import waiting_messages
from tests.protocol.tables import erase
from tocsin.actors.activator_registry import ActivatorRegistry
from tocsin.actors.actor import perform
from tocsin.actors.sessions import Sessions
from tocsin.mailbox import Mailbox
from tocsin.persistence.memory_store import MemoryStore
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import Activators
from tocsin.protocol.platform.activator_registration import TABLE, Effect

CLSID = "11111111-2222-3333-4444-555555555555"
FLAGS = int(Activators.PUSH_TRIGGER | Activators.COM_ACTIVATOR)
Seen = list[tuple[list[int], list[tuple[bool, str, bool]]]]


async def story() -> Seen:
    """Let a trigger and a class be registered, outlive their session, be restored, and be unregistered.

    Return what is kept after each step, and what the supervisor was told: the trigger, the server, whether to cancel.
    """
    store, sessions = MemoryStore(), Sessions()
    seen: Seen = []
    with Mailbox("supervisor") as supervisor, Mailbox("s1") as s1, Mailbox("s2") as s2:
        sessions.add("mail", s1)
        sessions.add("mail", s2)
        registry = ActivatorRegistry(store, sessions, supervisor)

        async def look() -> None:
            await perform(registry.flush())
            told = [each for each in waiting_messages(supervisor) if isinstance(each, m.ActivatorChanged)]
            kept = [stored.activator for stored in await store.activators()]
            seen.append((kept, [(each.triggered, each.session, each.aborted) for each in told]))

        async def happens(session: str, message: m.Message) -> None:
            registry.receive(m.Stamped(session, "mail", encode(message)), b"")
            await look()

        register = m.RegisterActivator(
            1,
            packaged=True,
            activators=FLAGS,
            clsid=CLSID,
            conditions=(),
            cancel_on_condition_loss=False,
            has_handler=True,
            command=b"",
        )
        await happens("s1", register)
        await happens("s1", m.UnregisterActivators(2, FLAGS, every=False))
        await happens("s1", register)
        await happens("s1", m.LeaveSession())
        registry = ActivatorRegistry(store, sessions, supervisor)
        await registry.start()
        await look()
        await happens("s2", register)
        await happens("s2", m.UnregisterActivators(2, 0, every=True))
    return seen


async def test_each_step_is_as_it_should_be() -> None:
    """A trigger outlives its process, a class does not; what is unregistered is cancelled and forgotten."""
    trigger = int(Activators.PUSH_TRIGGER)
    assert await story() == [
        ([trigger], [(True, "s1", False)]),
        ([], [(False, "", True)]),
        ([trigger], [(True, "s1", False)]),
        ([trigger], [(True, "", False)]),
        ([trigger], [(True, "", False)]),
        ([trigger], [(True, "s2", False)]),
        ([], [(False, "", True)]),
    ]


@pytest.mark.parametrize("effect", Effect)
async def test_the_registry_does_nothing_that_its_table_does_not_name(
    monkeypatch: pytest.MonkeyPatch, effect: Effect
) -> None:
    """Without any one of its effects the table makes another registry: in the store, or for the supervisor."""
    right = await story()
    erase(monkeypatch, TABLE, effect)
    assert await story() != right
