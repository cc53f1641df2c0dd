"""What is kept of hubs: two writers that decide from what each has read at some time are told the same by each engine."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.service.registry.conftest import Making, making
from tests.service.registry.kept import kept_hubs
from tests.service.registry.memory_hub_store import MemoryHubStore
from tests.service.registry.test_store_agreement import READS, WRITERS
from tocsin.protocol.hub.descriptions import RegistrationDescription
from tocsin.protocol.hub.rights import Right
from tocsin.protocol.kernel.changed_meanwhile import ChangedMeanwhile
from tocsin.service.registry.hub_store import HubKeyRow, HubRow, HubStore, InstallationRow

HUBS = st.sampled_from([1, 2])
IDS = st.sampled_from(["i", "j"])
TIMES = st.sampled_from([1.0, 2.0, 3.0])
NAMES = st.sampled_from(["a", "A", "b", "\0"])
TAGS = st.sampled_from(["a", "A", "b"])  # of what tags consist of, which are checked before they are kept
Call = Callable[[HubStore], Coroutine[Any, Any, Any]]


class BothHubStores(RuleBasedStateMachine):
    """The store in memory and one that is kept get the same calls, of two writers, each of which has read at some time.

    :param two: whether the one that is kept is opened by each writer for itself.
    """

    def __init__(self, make: Making, *, two: bool) -> None:
        super().__init__()
        self.stack = ExitStack()
        portal = self.portal = self.stack.enter_context(start_blocking_portal())
        self.memory = MemoryHubStore()
        opening = make(self.stack, portal)
        self.kept = [
            self.stack.enter_context(portal.wrap_async_context_manager(opening())).hubs for _ in range(1 + two)
        ]
        self.read: dict[Any, Any] = {}

    def both(self, call: Call, writer: int = 0) -> Any:
        """Call both, and demand that they answer, or see a change, alike."""
        stores = (cast("HubStore", self.memory), self.kept[writer % len(self.kept)])
        answers = [self.portal.call(_answer, call, store) for store in stores]
        assert answers[0] == answers[1]
        return answers[0]

    def was(self, writer: int, what: Any, read: Call, *, reads: bool) -> Any:
        """Return what a writer has read last of something; it has read each once."""
        if reads or (writer, what) not in self.read:
            self.read[writer, what] = self.both(read, writer)
        return self.read[writer, what]

    @rule(hub=HUBS, name=NAMES, keys=st.lists(TIMES, max_size=2), writer=WRITERS, reads=READS)
    def a_hub_is_saved(self, hub: int, name: str, keys: list[float], writer: int, *, reads: bool) -> None:
        """A new one, one that is there, or instead of another of its name."""
        was = self.was(writer, "hubs", kept_hubs, reads=reads)
        rows = [HubKeyRow(hub, right, name, created, None) for right, created in zip(Right, keys, strict=False)]
        self.both(lambda store: store.save_hub(HubRow(hub, name, None, 1.0), rows, was), writer)

    @rule(hub=HUBS, writer=WRITERS, reads=READS)
    def a_hub_is_removed(self, hub: int, writer: int, *, reads: bool) -> None:
        """Whether it is there or not."""
        was = self.was(writer, "hubs", kept_hubs, reads=reads)
        self.both(lambda store: store.remove_hub(hub, was), writer)

    @rule(hub=HUBS)
    def the_rest_of_a_hub_is_forgotten(self, hub: int) -> None:
        """Unless it is there."""
        self.both(lambda store: store.forget_rest(hub))

    @rule(hub=HUBS, name=IDS, tags=st.lists(TAGS, max_size=2), etag=st.integers(1, 3), writer=WRITERS, reads=READS)
    def a_registration_is_saved(  # what is saved, and by whom
        self, hub: int, name: str, tags: list[str], etag: int, writer: int, *, reads: bool
    ) -> None:
        """A new one, or instead of the one that is there."""
        known = self.was(writer, (hub, "r", name), lambda store: store.registration(hub, name), reads=reads)
        row = RegistrationDescription(name, f"https://h/?token={name}", tuple(tags), etag)
        was = None if known is None else known.etag
        self.both(lambda store: store.save_registration(hub, row, was), writer)

    @rule(hub=HUBS, name=IDS, writer=WRITERS, reads=READS)
    def a_registration_is_removed(self, hub: int, name: str, writer: int, *, reads: bool) -> None:
        """If its writer knows of it."""
        known = self.was(writer, (hub, "r", name), lambda store: store.registration(hub, name), reads=reads)
        if known is not None:
            self.both(lambda store: store.remove_registration(hub, name, known.etag), writer)

    @rule(
        hub=HUBS,
        installation=st.builds(
            InstallationRow, IDS, st.sampled_from(["{}", "[]"]), st.integers(1, 2), st.none() | TIMES
        ),
        parts=st.sets(st.sampled_from(["p", "q"])),
        now=TIMES,
        writer=WRITERS,
        reads=READS,
    )
    def an_installation_is_saved(  # as above
        self, hub: int, installation: InstallationRow, parts: set[str], now: float, writer: int, *, reads: bool
    ) -> None:
        """A new one, instead of the one that is there, or of one that has expired."""
        id_ = installation.id
        was = self.was(writer, (hub, id_, now), lambda store: store.installation(hub, id_, now), reads=reads)
        rows = [
            RegistrationDescription(f"{part} of {id_}", "https://h/?token=t", installation=id_)
            for part in sorted(parts)
        ]
        self.both(lambda store: store.save_installation(hub, installation, rows, was, now), writer)

    @rule(hub=HUBS, name=IDS, now=TIMES, writer=WRITERS, reads=READS)
    def an_installation_is_removed(self, hub: int, name: str, now: float, writer: int, *, reads: bool) -> None:
        """If its writer knows of it."""
        known = self.was(writer, (hub, name, now), lambda store: store.installation(hub, name, now), reads=reads)
        if known is not None:
            self.both(lambda store: store.remove_installation(hub, name, known), writer)

    @invariant()
    def they_agree(self) -> None:
        """On all that is kept."""
        self.both(kept_hubs)
        for hub in (1, 2):
            for name in ("i", "j", "p of i", "q of i", "p of j", "q of j"):
                self.both(partial(_kept_of, hub, name))

    def teardown(self) -> None:
        """Close everything."""
        self.stack.close()


async def _kept_of(hub: int, name: str, store: HubStore) -> tuple[Any, Any]:
    return await store.registration(hub, name), await store.installation(hub, name, 0.0)


async def _answer(call: Call, store: HubStore) -> Any:
    """Return what a call answered, or that something has changed meanwhile."""
    try:
        return await call(store)
    except ChangedMeanwhile:
        return ChangedMeanwhile


@pytest.mark.hypothesis
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_what_two_writers_decide_is_written_alike(engine: str, request: pytest.FixtureRequest) -> None:
    """Whatever each has read, and when."""
    machine = cast("type[BothHubStores]", partial(BothHubStores, making(engine, request), two=engine == "postgres"))
    share = 4 if engine == "sqlite" else 10  # as of the other machine
    few = settings(max_examples=settings().max_examples // share, stateful_step_count=30)
    run_state_machine_as_test(machine, settings=few)
