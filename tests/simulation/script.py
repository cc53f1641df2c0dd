"""A script: the acts of one run as data, drawn from a seed, printed and read again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from attrs import field, fields, frozen

from tests.simulation.app_process import AWAY
from tests.simulation.apps import BACKGROUND, FOREGROUND, PROCESS_MODES
from tests.simulation.faults import StoreFault
from tests.simulation.liar import LIES
from tests.simulation.processes import LAUNCHES
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.platform.conditions import HostState
from tocsin.protocol.platform.host_facts import HostFacts

APPS = ("contoso.mail", "contoso.news")
ACTORS = ("payload_router", "supervisor", "activator_registry", "channel_requester", "retry_scheduler")
FLAGS = tuple(sorted(each.name for each in fields(HostState)))
OFTEN = ("energy_saver",) * 6 + ("user_present", "free_network_available")
"""The flags on which more depends than on the others."""
FACTS = tuple(each.name for each in fields(HostFacts))
RULES = ("cloud_notifications", "toasts", "tiles", "badges")
"""What policy may allow or forbid all apps."""

RULES_OF_APPS = ("notifications", "background", "exempt_from_energy_saver")
"""What it may decide for one."""

REFUSALS = ("WNP_E_RECONNECTING", "ERROR_TIMEOUT", "E_INVALIDARG")
"""Two that may pass, and one that is critical."""

TTLS = (3, 40, 4000, 86_400)
"""Seconds that messages of Web Push may wait."""

TOPICS = (None, None, None, "a", "b")

LIFETIMES = (None, None, None, None, -1.0, 3.0, 40.0, 4000.0)
"""Seconds that payloads live."""

PRIORITIES = (1, 2, 3, 4, 4)
"""The last is held back by energy saver even where the app is exempt."""

APART = 40 * 86_400.0
"""Seconds by which the clocks of device and service may differ, and by which they are set."""

ROLES = ("trigger", "trigger", "works", "foreground", "both")
"""What a process is for."""

LENGTH = (40, 80)
"""How many acts a script has."""

OFF = 0.25
"""How probably a script goes without a kind of act."""


def _frozen(arguments: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(arguments)


@frozen
class Act:
    """One thing that happens; then the next does after so many turns of the scheduler, or when nothing can go on."""

    name: str
    arguments: tuple[Any, ...] = field(default=(), converter=_frozen)
    turns: int | None = None

    def __str__(self) -> str:
        return json.dumps([self.name, list(self.arguments), self.turns])


@frozen
class Script:
    """The acts of a run; ``seed`` decides the order in which tasks go on."""

    seed: int
    acts: tuple[Act, ...] = field(converter=_frozen)

    @property
    def has_agent(self) -> bool:
        """Whether anything happens to processes of apps, which reach the platform through an agent."""
        return any(act.name in AGENT_KINDS for act in self.acts)

    def __str__(self) -> str:
        return "\n".join([json.dumps({"seed": self.seed}), *map(str, self.acts)])


def parse(text: str) -> Script:
    """Read a script as it is printed: a line with the seed, then one act a line.

    :raises ValueError: it is none.
    """
    first, *rest = (json.loads(line) for line in text.splitlines() if line.strip())
    return Script(first["seed"], [Act(name, arguments, turns) for name, arguments, turns in rest])


@frozen
class Kind:
    """How often an act happens, as a weight, and how its arguments are drawn."""

    weight: int
    draw: Callable[[Random], Sequence[Any]]


def _which(random: Random) -> int:
    return random.randrange(8)


def _app(random: Random) -> int:
    return random.randrange(len(APPS))


def _away(random: Random) -> int:
    return random.randrange(len(AWAY))


def _count(random: Random) -> int:
    return random.randint(20, 100) if random.random() < 0.06 else random.randint(1, 5)


def _apart(random: Random) -> float:
    return random.uniform(-APART, APART)


def _jump(random: Random) -> float:
    return random.choice((-86_400.0, -3600.0, -20.0, 20.0, 3600.0, 86_400.0, _apart(random)))


def _nothing(_: Random) -> Sequence[Any]:
    return ()


EMBEDDED_KINDS: dict[str, Kind] = {
    # Apps
    "request": Kind(4, lambda r: (_app(r), r.randrange(2))),
    "withdraw": Kind(1, lambda r: (_which(r),)),
    "close": Kind(1, lambda r: (_app(r),)),
    "attach": Kind(8, lambda r: (_which(r), r.choice(("handles", *FOREGROUND)))),
    "detach": Kind(3, lambda r: (_which(r),)),
    "register": Kind(5, lambda r: (_app(r), r.randrange(4), r.random() < 0.5, r.choice(BACKGROUND))),
    "unregister": Kind(2, lambda r: (_app(r),)),
    "complete": Kind(3, _nothing),
    "subscribe": Kind(3, lambda r: (_app(r), r.randrange(2))),
    # The service
    "post": Kind(8, lambda r: (_which(r), r.randint(1, 3), r.choice(TTLS), r.choice(PRIORITIES), r.choice(TOPICS))),
    "take_back": Kind(2, lambda r: (_which(r),)),
    "push": Kind(16, lambda r: (_which(r), _count(r), r.choice(LIFETIMES), r.choice(PRIORITIES))),
    "push_again": Kind(3, lambda r: (r.randint(1, 5),)),
    "revoke": Kind(1, lambda r: (r.randrange(3),)),
    "refuse": Kind(3, lambda r: (r.choice(REFUSALS), r.choice((None, None, 5.0, 200.0)))),
    "cut": Kind(3, lambda r: (r.random() < 0.7,)),
    "reach": Kind(2, _nothing),
    "answer_after": Kind(2, lambda r: (r.choice((0.0, 0.0, 0.3, 2.0, 11.0)),)),
    "grant_for": Kind(1, lambda r: (r.choice((30.0, 1.5, 1.02, 0.01)),)),
    "break_wire": Kind(3, lambda r: (r.choice(("up", "down")), r.randint(1, 6), r.random() < 0.5)),
    # The machine and its user
    "pass_time": Kind(10, lambda r: (r.choice((0.2, 1.0, 4.0, 12.0, 31.0, 36.0, 90.0, 310.0)),)),
    "sleep": Kind(2, lambda r: (r.choice((10.0, 60.0, 3600.0, 90_000.0)),)),
    "suspend": Kind(1, lambda r: (r.choice((10.0, 60.0, 3600.0, 90_000.0)), r.random() < 0.7)),
    "power_off": Kind(2, lambda r: (r.choice((2.0, 60.0, 3600.0, 90_000.0)), r.choice((0.0, _jump(r))))),
    "set_clock": Kind(2, lambda r: (_jump(r),)),
    "set_service_clock": Kind(2, lambda r: (_jump(r),)),
    "clocks_apart": Kind(1, lambda r: (_apart(r),)),
    "restart_service": Kind(1, _nothing),
    "flip": Kind(5, lambda r: (r.choice((*FLAGS, *OFTEN)),)),
    "sense": Kind(5, lambda r: (r.choice((*FACTS, "power_saver", "power_saver")), r.choice((True, False, None)))),
    "rule": Kind(2, lambda r: (r.choice(RULES), r.random() < 0.6)),
    "rule_app": Kind(2, lambda r: (_app(r), r.choice(RULES_OF_APPS), r.choice((True, False, None)))),
    "run_out_of_data": Kind(1, lambda r: (_app(r), r.random() < 0.6)),
    "decide": Kind(3, lambda r: (_app(r), r.random() < 0.8, r.random() < 0.7, r.random() < 0.7)),
    "cancel_work": Kind(2, lambda r: (_app(r), r.choice(list(CancellationReason)).name)),
    # Failures
    "crash": Kind(4, lambda r: (r.choice(ACTORS), r.choice(("receive", "receive", "flush")))),
    "break_store": Kind(5, lambda r: (r.choice(list(StoreFault)).value, r.randint(1, 12), r.choice((0.5, 8.0, 25.0)))),
    "restart": Kind(2, _nothing),
    "kill": Kind(2, _nothing),
}
"""All that can happen to apps in the platform's own process, by the name of the method of ``World`` that makes it happen."""

AGENT_KINDS: dict[str, Kind] = {
    "begin_process": Kind(12, lambda r: (_away(r), r.choice(ROLES), r.choice((*PROCESS_MODES, "crashes")))),
    "end_process": Kind(3, lambda r: (r.randrange(4),)),
    "crash_process": Kind(5, lambda r: (r.randrange(4),)),
    "stall_process": Kind(2, lambda r: (r.randrange(4),)),
    "go_on": Kind(2, _nothing),
    "launched_do": Kind(9, lambda r: (_away(r), r.choice(LAUNCHES))),
    "lie": Kind(5, lambda r: (r.choice(LIES), r.randrange(20))),
}
"""What happens besides to the processes of other apps, in the worlds that have an agent."""

KINDS = EMBEDDED_KINDS | AGENT_KINDS
"""All that can happen."""

AGENT_EVERY = 4
"""Of so many seeds, one has an agent in its world."""

ALWAYS = {"request", "attach", "push", "pass_time", "begin_process"}
"""Without these, there is nothing to see."""

AT_REST = {"pass_time", "sleep", "suspend", "power_off", "set_clock", "clocks_apart", "restart", "kill"}
"""After these, things are left to come to rest."""


def draw(seed: int) -> Script:
    """Draw the script of a seed: first the apps set up, then anything, each kind as often as this seed likes it."""
    random = Random(seed)  # noqa: S311  # no secret: the same numbers each time are the point
    kinds = KINDS if seed % AGENT_EVERY == AGENT_EVERY - 1 else EMBEDDED_KINDS
    liked = {
        name: kind.weight * random.choice((1, 1, 3))
        for name, kind in kinds.items()
        if name in ALWAYS or random.random() > OFF
    }
    names = list(_first(random))
    names += random.choices(list(liked), list(liked.values()), k=random.randint(*LENGTH) - len(names))
    return Script(seed, [_act(random, name) for name in names])


def _first(random: Random) -> Iterable[str]:
    yield from ["clocks_apart"] * random.randint(0, 1)
    yield from ["request"] * random.randint(1, 3)
    yield from ["register"] * random.randint(0, 2)
    yield from ["attach"] * random.randint(0, 2)


def _act(random: Random, name: str) -> Act:
    hurried = name not in AT_REST and random.random() < 0.4
    return Act(name, KINDS[name].draw(random), random.randrange(13) if hurried else None)
