"""What always holds in the world, and what holds when everything has come to its end: a sentence each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from tests.simulation.agent_invariants import (
    every_launch_has_ended,
    launches_have_places_until_they_claim,
    only_who_has_a_payload_settles_it,
    sessions_are_those_that_live,
)
from tests.simulation.push_invariants import (
    apps_get_what_was_sent,
    nothing_comes_after_the_end,
    subscriptions_are_kept_that_an_app_was_told_of,
    subscriptions_keep_their_keys,
    what_was_sealed_can_be_read,
)
from tests.simulation.record import TICK
from tocsin.protocol.platform.activation import BUDGET, GRACE, Activators
from tocsin.protocol.platform.activator_registration import Phase
from tocsin.protocol.platform.channel_request import renewal
from tocsin.protocol.platform.conditions import AppSettings

if TYPE_CHECKING:
    from tests.simulation.world import World

GRANTS_OF_AN_ACT = 8
"""Two apps, two registrations of each, and twice where a channel does not last as long as the act."""

Invariant = Callable[["World"], None]


class Violation(AssertionError):
    """An invariant does not hold; ``invariant`` is its name."""

    def __init__(self, invariant: str, text: str) -> None:
        super().__init__(invariant, text)
        self.invariant = invariant
        self.text = text

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


def check(world: World, invariants: Iterable[Invariant]) -> None:
    """Look whether they hold, and count that we looked.

    :raises Violation: one does not.
    """
    for invariant in invariants:
        name = invariant.__name__
        world.record.checks[name] += 1
        try:
            invariant(world)
        except AssertionError as broken:
            raise Violation(name, str(broken)) from None


def what_was_acknowledged_is_in_exactly_one_place(world: World) -> None:
    """It is open, or was handled by its app, or is a dead letter with a reason."""
    store = world.sim.store
    lost = world.service.acknowledged.keys() - store.accepted
    assert not lost, f"acknowledged, and not in the store: {sorted(lost)}"
    places = (store._open.keys(), store.handled, store._dead.keys())
    assert len(store._ids) == sum(map(len, places)), "a payload is nowhere, or in two places"
    assert store._ids.keys() == set().union(*places), "a payload is nowhere, or in two places"
    assert all(letter.reason for letter in store._dead.values()), "a dead letter without a reason"


def handled_means_that_a_handler_handled_it(world: World) -> None:
    """What ended as handled was handled in the foreground, or its background work has ended."""
    store = world.sim.store
    wrong = {store._ids[number] for number in store.handled} - world.record.done
    assert not wrong, f"no handler handled {sorted(wrong)}"


def what_dies_of_its_handling_was_seen(world: World) -> None:
    """No payload dies unhandled, failed or cancelled that no handler was ever given."""
    _no_offence(world, "what_dies_of_its_handling_was_seen")


def an_id_is_accepted_once(world: World) -> None:
    """However often the service sends it."""
    _no_offence(world, "an_id_is_accepted_once")


def no_attempt_is_seen_twice(world: World) -> None:
    """In the foreground and in the background, each hand-out of a payload has a larger attempt than the one before."""
    _no_offence(world, "no_attempt_is_seen_twice")


def first_attempts_come_in_order(world: World) -> None:
    """Those of a channel, in the foreground and in the background, but for what a gate has held back."""
    _no_offence(world, "first_attempts_come_in_order")


def a_latched_payload_waits(world: World) -> None:
    """What waits for the background is not taken from the inbox again until it comes back from there."""
    _no_offence(world, "a_latched_payload_waits")


def background_work_begins_in_time(world: World) -> None:
    """Never with a payload that has expired while it waited."""
    _no_offence(world, "background_work_begins_in_time")


def no_work_begins_while_a_gate_is_closed(world: World) -> None:
    """No background work of an app begins while the machine, its policy, its user or a condition does not let it."""
    _no_offence(world, "no_work_begins_while_a_gate_is_closed")


def work_ends_when_a_gate_closes(world: World) -> None:
    """Background work that runs is cancelled, and has ended when the time of grace has."""
    world.record.look()
    gates, awake = world.record.gates, world.record.awake()
    for work in world.record.works:
        of_platform = work.call.background and not work.call.process
        late = of_platform and gates.are_long_closed(gates.closed, work.call.app, GRACE + TICK)
        assert not late or awake < work.began + GRACE + TICK, f"{work.call} goes on behind a gate that has closed"


def one_at_a_time(world: World) -> None:
    """One payload of a channel in the foreground, and one of an app in the background."""
    _no_offence(world, "one_at_a_time")


def retries_follow_the_schedule(world: World) -> None:
    """After 60, 120, 180, 240 and 300 s, with jitter, and never before the service allows it."""
    _no_offence(world, "retries_follow_the_schedule")


def waits_end_in_time(world: World) -> None:
    """A request is tried again when its wait is over, and a wait that goes on after a restart is no longer than before."""
    awake = world.record.awake()
    late = [wait for wait in world.record.waits.values() if awake > wait.began + wait.length + TICK]
    assert not late, f"still waiting: {late[0]}"


def work_ends_in_time(world: World) -> None:
    """Whatever a handler began, its deferrals included, ends within the budget and the time of grace."""
    world.record.look()
    awake = world.record.awake()
    late = [work for work in world.record.works if awake > work.began + BUDGET + GRACE + TICK]
    assert not late, f"{awake - late[0].began:.1f} s, and still working: {late[0].call}"


def what_an_app_was_told_is_kept(world: World) -> None:
    """A channel that it got, until it is taken back or its time is over at the service, and background work that was agreed to."""
    store = world.sim.store
    lost = {(app, int(Activators.PROTOCOL_ACTIVATOR)) for app in world.agreed} - store._activators.keys()
    assert not lost, f"agreed to, and not kept: {lost}"
    for operation in world.operations:
        channel = operation._result.channel if operation._result else None
        if channel is not None and not world.service.has_ended(channel.uri):
            assert channel.uri in store._channels, f"granted, and not kept: {channel}"


def channels_are_held_by_whom_they_were_granted_to(world: World) -> None:
    """The device keeps a channel for the app, and the registration, for which the service granted it."""
    for name, stored in world.sim.store._channels.items():
        granted = world.service.granted[name]
        assert (stored.app, stored.remote_id) == granted, f"{name} was granted to {granted}, and is held as {stored}"


def nothing_expires_before_its_time(world: World) -> None:
    """A payload lives as long as its sender allowed, from the moment on at which the service had it, on whatever clocks."""
    _no_offence(world, "nothing_expires_before_its_time")


def channels_are_asked_for_with_cause(world: World) -> None:
    """Each act lets each app ask for a channel or two, and no clock makes it ask again and again."""
    most = GRANTS_OF_AN_ACT * (world.record.counts["acts"] + 1)
    assert len(world.service.granted) <= most, f"{len(world.service.granted)} channels were granted"


def actors_fail_only_when_made_to(world: World) -> None:
    """Whatever happens to the others, an actor fails by a fault of the script or of the store."""
    _no_offence(world, "actors_fail_only_when_made_to")


def mailboxes_are_bounded(world: World) -> None:
    """None was ever deeper than it may be, those of the apps included."""
    sessions = [mailbox.statistics() for mailbox in world.life.platform.sessions._mailboxes.values()]
    for mailbox in [*world.life.platform.statistics(), *sessions]:
        assert mailbox.high_water <= mailbox.capacity, mailbox


def every_payload_has_ended(world: World) -> None:
    """And the service has heard of each that it has sent."""
    open_ = world.sim.store._open
    assert not open_, f"{len(open_)} payloads never ended: {list(open_.values())[:3]}"
    waiting = world.service.waiting
    assert not waiting, f"{len(waiting)} payloads were never acknowledged: {list(waiting)[:3]}"


def every_request_has_ended(world: World) -> None:
    """And the app that made it has its result."""
    requests = _inside(world, "channel_requester", "_requests")
    assert not requests, f"still open: {next(iter(requests.values()))}"
    assert not _inside(world, "channel_requester", "_open"), "an app is still taken to ask"
    assert not world.sim.store._requests, f"still kept: {world.sim.store._requests}"
    assert all(operation._ended for operation in world.operations), "an app still waits for its channel"


def nothing_is_in_flight(world: World) -> None:
    """No actor, no session and no mailbox holds anything that has not ended."""
    left = {name: what for name, what in _held(world) if what}
    assert not left, f"still there: {left}"


def books_agree(world: World) -> None:
    """The store and every actor know the same channels, activators, machine and settings."""
    store = world.sim.store
    for actor, known in (("payload_router", "_windows.channels"), ("channel_requester", "_channels._channels")):
        assert _inside(world, actor, known).keys() == store._channels.keys(), f"{actor} knows other channels"
    activators = _inside(world, "activator_registry", "_apps")
    active = {
        (app, each)
        for app, all_ in activators.items()
        for each, registered in all_.items()
        if registered.phase is not Phase.ABSENT and registered.outlives_process()
    }
    assert active == store._activators.keys(), f"the registry knows {active}"
    subscribers = {
        channel for channel in _inside(world, "supervisor", "_subscribers")._foreground if channel in store._channels
    }
    open_ = _inside(world, "payload_router", "_windows")._subscribed & store._channels.keys()
    assert subscribers == open_, f"payloads of {subscribers ^ open_} go nowhere"
    gates, background = _inside(world, "payload_router", "_windows.gates"), _inside(world, "supervisor", "_apps")
    for app, manager in world.life.managers.items():
        said = manager.conditions
        lost = manager._channels._granted.keys() - store._channels.keys()
        assert all(map(manager._session.is_lost, lost)), f"{app} has not heard that {lost} are gone"
        assert gates.host == said.host == _inside(world, "supervisor", "_steps.host"), "they see another machine"
        settings = gates.settings.get(app, AppSettings())
        assert settings == said.settings == background[app].settings, f"other settings of {app}"


def channels_are_renewed_in_time(world: World) -> None:
    """A day before the end of the newest channel of an app, if it lives longer than that."""
    service, newest = world.service, dict[tuple[str, str], str]()
    for name, stored in world.sim.store._channels.items():
        other = newest.get((stored.app, stored.remote_id))
        if other is None or service.expires[other] < service.expires[name]:
            newest[stored.app, stored.remote_id] = name
    for name in newest.values():
        remote_id = world.sim.store._channels[name].remote_id
        ahead = -renewal(remote_id, 0.0)
        if service.lives[name] > ahead:
            late = service.now() - renewal(remote_id, service.expires[name])
            assert late < world.settled, f"{name} should have been renewed {late:.1f} s ago"


def no_connection_is_tried_where_policy_forbids_it(world: World) -> None:
    """Not even once."""
    _no_offence(world, "no_connection_is_tried_where_policy_forbids_it")


def the_service_knows_what_is_unwanted(world: World) -> None:
    """It is told with each connection, and of each change."""
    unwanted = world.life.platform.host_owner.record.unwanted
    assert world.service.unwanted == unwanted, f"{unwanted} is unwanted, and the service knows {world.service.unwanted}"


def _held(world: World) -> Iterator[tuple[str, Any]]:
    yield "on its way in windows", _inside(world, "payload_router", "_windows._in_flight")
    yield "outstanding", _inside(world, "supervisor", "_payloads")
    yield "tracked", _inside(world, "supervisor", "_payloads._tracked")
    yield "in a queue", _inside(world, "supervisor", "_payloads._queues")
    for app, background in _inside(world, "supervisor", "_apps").items():
        yield f"running for {app}", background.running
        yield f"queued for {app}", background.queue
    yield "being closed", _inside(world, "channel_requester", "_closing")
    yield "waiting for its retry", _inside(world, "retry_scheduler", "_waiting")
    yield "working", world.record.works
    for mailbox in world.life.platform.statistics():
        yield mailbox.name, mailbox.depth
    managers = [(process.name, process.manager) for process in world.sim.processes.living]
    for app, manager in [*world.life.managers.items(), *managers]:
        assert manager is not None, f"{app} has no session"
        yield f"asked by {app}", manager._session.questions._asked
        for subscription in manager._session._all_subscriptions():
            yield (
                f"{subscription.name} of {app}",
                [*subscription._waiting, *([subscription._running] if subscription._running else [])],
            )


def _inside(world: World, actor: str, attribute: str) -> Any:
    return attrgetter(attribute)(world.life.actors[actor])


def _no_offence(world: World, invariant: str) -> None:
    offences = world.record.offences[invariant]
    assert not offences, offences[0]


TIMED: tuple[Invariant, ...] = (work_ends_in_time, work_ends_when_a_gate_closes, waits_end_in_time)
"""What must hold whenever time has passed."""

ALWAYS: tuple[Invariant, ...] = (
    what_was_acknowledged_is_in_exactly_one_place,
    handled_means_that_a_handler_handled_it,
    only_who_has_a_payload_settles_it,
    launches_have_places_until_they_claim,
    what_dies_of_its_handling_was_seen,
    an_id_is_accepted_once,
    no_attempt_is_seen_twice,
    first_attempts_come_in_order,
    a_latched_payload_waits,
    background_work_begins_in_time,
    no_work_begins_while_a_gate_is_closed,
    one_at_a_time,
    retries_follow_the_schedule,
    what_an_app_was_told_is_kept,
    channels_are_held_by_whom_they_were_granted_to,
    nothing_expires_before_its_time,
    channels_are_asked_for_with_cause,
    no_connection_is_tried_where_policy_forbids_it,
    actors_fail_only_when_made_to,
    mailboxes_are_bounded,
    apps_get_what_was_sent,
    what_was_sealed_can_be_read,
    subscriptions_keep_their_keys,
    subscriptions_are_kept_that_an_app_was_told_of,
    nothing_comes_after_the_end,
    *TIMED,
)
"""What must hold after every act."""

AT_THE_END: tuple[Invariant, ...] = (
    every_payload_has_ended,
    every_request_has_ended,
    nothing_is_in_flight,
    every_launch_has_ended,
    sessions_are_those_that_live,
    books_agree,
    channels_are_renewed_in_time,
    the_service_knows_what_is_unwanted,
)
"""What must hold when no fault is left and time has passed."""
