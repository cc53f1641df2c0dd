"""The activator registry and several sessions of an app: Process A has the trigger, Process B the class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import permutations, product

import pytest

from tests.helpers import waiting_messages
from tocsin.actors.activator_registry import ActivatorRegistry
from tocsin.actors.actor import perform
from tocsin.actors.sessions import Sessions
from tocsin.mailbox import Mailbox
from tocsin.persistence.memory_store import MemoryStore
from tocsin.protocol import messages as m
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import Activators

CLSID = "11111111-2222-3333-4444-555555555555"
TRIGGER, CLASS, PROTOCOL = Activators.PUSH_TRIGGER, Activators.COM_ACTIVATOR, Activators.PROTOCOL_ACTIVATOR
ROLES = {"a": (TRIGGER, False), "b": (CLASS, True)}
"""What each process registers, and whether it has a handler."""
ORDERS = list(permutations(ROLES))


class RegistryHarness:
    """A registry, whose sessions and supervisor a test plays."""

    def __init__(self, store: MemoryStore, supervisor: Mailbox, mailboxes: dict[str, Mailbox]) -> None:
        self.store, self.sessions, self.mailboxes, self._supervisor = store, Sessions(), mailboxes, supervisor
        for name, mailbox in mailboxes.items():
            self.sessions.add("chat" if name == "x" else "mail", mailbox)
        self._registry = ActivatorRegistry(store, self.sessions, self._supervisor)

    async def start(self) -> list[m.ActivatorChanged]:
        """Let it read what is kept, and return what the supervisor is told."""
        await self._registry.start()
        return self._told()

    async def hears(self, session: str, message: m.Message, app: str = "mail") -> m.ActivatorChanged | None:
        """Let a session say something, and return what the supervisor is told of its app; None where it is told nothing."""
        self._registry.receive(m.Stamped(session, app, encode(message)), b"")
        await perform(self._registry.flush())
        return next(iter(self._told()), None)

    async def ends(self, session: str) -> m.ActivatorChanged | None:
        """Let a session end, and return what the supervisor is told."""
        self.sessions.remove(session)
        self._registry.receive(m.SessionEnded(session), b"")
        await perform(self._registry.flush())
        return next(iter(self._told()), None)

    async def registers(
        self, session: str, flags: Activators, *, handler: bool = False, command: bytes = b"", app: str = "mail"
    ) -> m.ActivatorChanged:
        """Let a session register activators, which is agreed to, and return what the supervisor is told."""
        told = await self.hears(
            session,
            m.RegisterActivator(
                1,
                packaged=flags is not PROTOCOL,
                activators=int(flags),
                clsid=CLSID,
                conditions=(),
                cancel_on_condition_loss=False,
                has_handler=handler,
                command=command,
            ),
            app,
        )
        assert self.answer(session) == m.Done(1)
        assert told is not None
        return told

    async def unregisters(self, session: str, flags: Activators, app: str = "mail") -> m.ActivatorChanged | None:
        """Let a session unregister activators, and return what the supervisor is told."""
        return await self.hears(session, m.UnregisterActivators(2, int(flags), every=False), app)

    async def returns(self, session: str, flags: Activators) -> list[m.Message]:
        """Let a session of before register what it had, and say that this was all; return what the supervisor is told."""
        register = m.RegisterActivator(
            1,
            packaged=True,
            activators=int(flags),
            clsid=CLSID,
            conditions=(),
            cancel_on_condition_loss=False,
            has_handler=True,
            command=b"",
        )
        for message in (register, m.Resumed()):
            self._registry.receive(m.Stamped(session, "mail", encode(message)), b"")
        await perform(self._registry.flush())
        return waiting_messages(self._supervisor)

    def answer(self, session: str) -> m.Message:
        """Return the answer to a session's question."""
        (answer,) = waiting_messages(self.mailboxes[session])
        return answer

    def _told(self) -> list[m.ActivatorChanged]:
        return [each for each in waiting_messages(self._supervisor) if isinstance(each, m.ActivatorChanged)]


@contextmanager
def registry(store: MemoryStore | None = None) -> Iterator[RegistryHarness]:
    """Run a registry with the sessions ``a`` and ``b`` of the app ``mail``, and ``x`` of the app ``chat``."""
    with Mailbox("supervisor") as supervisor, Mailbox("a") as a, Mailbox("b") as b, Mailbox("x") as x:
        yield RegistryHarness(store or MemoryStore(), supervisor, {"a": a, "b": b, "x": x})


def view(told: m.ActivatorChanged | None) -> tuple[bool, str]:
    """Return whether the app is triggered, and which session does its work."""
    assert told is not None
    return told.triggered, told.session


class TestProcesses:
    """Process A and Process B come and go."""

    async def test_that_a_session_of_before_has_told_all_is_heard_behind_what_it_has_told(self) -> None:
        """So the supervisor knows who does the work before anything is launched for it."""
        with registry() as r:
            changed, resumed = await r.returns("b", CLASS)
            assert isinstance(changed, m.ActivatorChanged)
            assert changed.session == "b"
            assert resumed == m.Stamped("b", "mail", encode(m.Resumed()))

    @pytest.mark.parametrize(("coming", "leaving"), list(product(ORDERS, ORDERS)))
    @pytest.mark.parametrize("dying", [False, True], ids=["leaves", "dies"])
    async def test_they_come_and_go_in_any_order(
        self,
        coming: tuple[str, str],
        leaving: tuple[str, str],
        dying: bool,
    ) -> None:
        """The trigger stays when A has gone; B serves while it is there."""
        with registry() as w:
            alive: set[str] = set()
            triggered = False
            for session in coming:
                flags, handler = ROLES[session]
                told = await w.registers(session, flags, handler=handler)
                alive.add(session)
                triggered |= session == "a"
                assert view(told) == (triggered, "b" if "b" in alive else "")
            for session in leaving:
                told_of_end = await (w.ends(session) if dying else w.hears(session, m.LeaveSession()))
                alive.discard(session)
                assert view(told_of_end) == (True, "b" if "b" in alive else "")

    async def test_the_newest_class_serves_and_the_one_before_serves_again(self) -> None:
        """Two processes have the class; one leaves."""
        with registry() as w:
            await w.registers("a", TRIGGER | CLASS, handler=True)
            assert view(await w.registers("b", CLASS, handler=True)) == (True, "b")
            assert view(await w.ends("b")) == (True, "a")

    async def test_a_process_that_unregisters_its_class_leaves_the_other_serving(self) -> None:
        """The class of the other process is not unregistered with it, and its work goes on."""
        with registry() as w:
            await w.registers("a", TRIGGER | CLASS, handler=True)
            await w.registers("b", CLASS, handler=True)
            told = await w.unregisters("b", CLASS)
            assert w.answer("b") == m.Done(2)
            assert view(told) == (True, "a")
            assert told is not None
            assert not told.aborted

    @pytest.mark.parametrize("flags", [TRIGGER, CLASS, TRIGGER | CLASS])
    async def test_what_another_has_registered_is_not_found(self, flags: Activators) -> None:
        """A session that has not registered it cannot unregister it, and nothing changes."""
        with registry() as w:
            await w.registers("a", TRIGGER | CLASS, handler=True)
            kept = await w.store.activators()
            assert await w.unregisters("b", flags) is None
            failed = w.answer("b")
            assert isinstance(failed, m.Failed)
            assert (failed.request, failed.error, failed.hresult) == (2, "NotFound", HResult.ERROR_NOT_FOUND)
            assert await w.store.activators() == kept
            assert view(await w.registers("b", CLASS)) == (True, "a")

    async def test_another_app_has_activators_of_its_own(self) -> None:
        """Neither its registrations nor its departures are seen by the first."""
        with registry() as w:
            await w.registers("a", TRIGGER | CLASS, handler=True)
            told = await w.registers("x", CLASS, handler=True, app="chat")
            assert (told.app, *view(told)) == ("chat", False, "x")
            assert await w.unregisters("x", TRIGGER, app="chat") is None
            gone = await w.ends("x")
            assert gone is not None
            assert gone.app == "chat"


class TestCommands:
    """What starts a process of the app."""

    @pytest.mark.parametrize("flags", [TRIGGER, PROTOCOL])
    async def test_a_command_is_kept_and_shown(self, flags: Activators) -> None:
        """The supervisor is told of it, now and after a restart; the store has it."""
        store = MemoryStore()
        with registry(store) as w:
            assert (await w.registers("a", flags, command=b"\x00start")).command == b"\x00start"
            gone = await w.ends("a")
            assert gone is not None
            assert (view(gone), gone.command) == ((True, ""), b"\x00start")
        (kept,) = await store.activators()
        assert (kept.app, kept.activator, kept.command) == ("mail", int(flags), b"\x00start")
        with registry(store) as w:
            (told,) = await w.start()
            assert (told.app, view(told), told.command) == ("mail", (True, ""), b"\x00start")

    @pytest.mark.parametrize("restarted", [False, True], ids=["going on", "restarted"])
    async def test_a_registration_without_one_keeps_it(self, restarted: bool) -> None:
        """A process that does not know how it is started takes nothing away; one that knows it better replaces it."""
        store = MemoryStore()
        with registry(store) as w:
            await w.registers("a", TRIGGER, command=b"first")
            if not restarted:
                assert (await w.registers("b", TRIGGER)).command == b"first"
        with registry(store) as w:
            await w.start()
            assert (await w.registers("b", TRIGGER)).command == b"first"
            assert (await w.registers("a", TRIGGER, command=b"second")).command == b"second"
            assert [each.command for each in await store.activators()] == [b"second"]

    @pytest.mark.parametrize("every", [False, True])
    async def test_what_is_unregistered_forgets_its_command(self, every: bool) -> None:
        """A trigger that is registered anew starts what it says then, as after a restart."""
        with registry() as w:
            await w.registers("a", TRIGGER, command=b"first")
            told = await w.hears("a", m.UnregisterActivators(2, 0 if every else int(TRIGGER), every=every))
            assert w.answer("a") == m.Done(2)
            assert told is not None
            assert (view(told), told.command) == ((False, ""), b"")
            assert await w.store.activators() == []
            assert (await w.registers("a", TRIGGER)).command == b""
            assert [each.command for each in await w.store.activators()] == [b""]

    async def test_the_class_starts_nothing(self) -> None:
        """A command that comes with a class alone is no trigger's."""
        with registry() as w:
            assert (await w.registers("b", CLASS, handler=True, command=b"c")).command == b""
            assert await w.store.activators() == []
