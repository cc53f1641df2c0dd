"""What sensors know, and what follows from it: the unknown stays unknown."""

from __future__ import annotations

from itertools import product

import pytest
from attrs import asdict, evolve, fields
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.platform.conditions import HostState
from tocsin.protocol.platform.host_facts import HostFacts, either, merged

KNOWN = st.sampled_from([None, False, True])
FACTS = st.builds(HostFacts, **{each.name: KNOWN for each in fields(HostFacts)})


@given(FACTS)
def test_what_follows_are_fields_of_the_machines_state(facts: HostFacts) -> None:
    """Each is told as True or False; what is not known is left out, and so all is well by default."""
    evolve(HostState(), **facts.fields())
    assert HostFacts().fields() == {}


@pytest.mark.parametrize(
    ("facts", "follows"),
    [
        (HostFacts(power_saver=True), {"energy_saver": True, "background_work_cost_high": True}),
        (HostFacts(battery_low=True), {"energy_saver": True, "background_work_cost_high": True}),
        (HostFacts(battery_low=False), {}),
        (HostFacts(power_saver=False), {}),
        (
            HostFacts(power_saver=False, battery_low=False),
            {"energy_saver": False, "background_work_cost_high": False},
        ),
        (HostFacts(on_battery=False), {"screen_on_or_plugged": True}),
        (HostFacts(on_battery=True), {}),
        (HostFacts(on_battery=True, user_present=False), {"screen_on_or_plugged": False, "user_present": False}),
        (HostFacts(on_battery=True, user_present=True), {"screen_on_or_plugged": True, "user_present": True}),
        (HostFacts(on_battery=False, user_present=False), {"screen_on_or_plugged": True, "user_present": False}),
        (HostFacts(user_present=False), {"user_present": False}),
        (HostFacts(metered=True), {"free_network_available": False}),
        (HostFacts(metered=False, internet=False), {"free_network_available": True, "internet_available": False}),
        (HostFacts(session_connected=False), {"session_connected": False}),
    ],
    ids=str,
)
def test_what_follows_from_facts(facts: HostFacts, follows: dict[str, bool]) -> None:
    """Energy saver is off only where both that may mean it are known to be off."""
    assert facts.fields() == follows


@pytest.mark.parametrize("several", list(product([None, False, True], repeat=2)))
def test_either_is_or_with_the_unknown(several: tuple[bool | None, bool | None]) -> None:
    """Whatever stands for the unknown, the answer is right where it is one."""
    answers = {any(filled) for filled in product(*([each] if each is not None else [False, True] for each in several))}
    assert either(*several) == (answers.pop() if len(answers) == 1 else None)


@given(st.lists(FACTS, max_size=4))
def test_of_each_fact_counts_what_the_first_tells_that_knows_it(several: list[HostFacts]) -> None:
    """A sensor that knows nothing changes nothing."""
    for name, value in asdict(merged(several)).items():
        told = [getattr(facts, name) for facts in several if getattr(facts, name) is not None]
        assert value == (told[0] if told else None)
