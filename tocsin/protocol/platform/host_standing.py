"""What is known of a machine, by which sensor, and what is assumed, for those who look at a platform from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import asdict, frozen

from tocsin.protocol.platform.host_facts import HostFacts, merged
from tocsin.protocol.platform.host_record import HostRecord

ALL_FACTS: Final = tuple(asdict(HostFacts()))
"""All that sensors may know."""

FROM_FACTS: Final = tuple(HostFacts(**dict.fromkeys(ALL_FACTS, False)).fields())
"""The fields of ``HostState`` that follow from it."""


@frozen
class SensorStanding:
    """A sensor, what it looks at or why it knows nothing, and what it has told."""

    name: str
    words: str
    facts: HostFacts

    @property
    def tells(self) -> dict[str, bool]:
        """What it knows."""
        return {name: value for name, value in asdict(self.facts).items() if value is not None}


def host_report(sensors: Sequence[SensorStanding], record: HostRecord) -> dict[str, Any]:
    """Write down how a machine stands, field by field, and where each comes from.

    ``state`` is what counts, policy included. Of what may follow from sensors, ``told`` is what they tell, ``said`` what apps
    have said, and ``assumed`` what neither has; ``unknown`` names the facts that no sensor tells.
    """
    facts = merged(each.facts for each in sensors)
    told = facts.fields()
    said = {name: value for name, value in record.said.items() if name not in told}
    state: Mapping[str, bool] = asdict(record.host)
    return {
        "sensors": [{"name": each.name, "standing": each.words, "tells": each.tells} for each in sensors],
        "state": dict(state),
        "told": told,
        "said": said,
        "assumed": {name: state[name] for name in FROM_FACTS if name not in told and name not in said},
        "unknown": [name for name, value in asdict(facts).items() if value is None],
    }
