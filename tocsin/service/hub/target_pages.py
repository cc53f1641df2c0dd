"""The targets of a message, page by page, from the place that it has come to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import frozen

from tocsin.protocol.hub.tag_expression import HasAny, HasTag, TagExpression, read_tag_expression
from tocsin.service.hub.page import Target
from tocsin.service.registry.channel_directory import ChannelDirectory
from tocsin.service.registry.hub_store import HubStore, MessageRow, TargetRow
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.url_paths import token_of_uri

PAGE: Final = 256
"""Targets that are read at a time."""

_WEIGHED: Final = (100, 1_000, 10_000)  # registrations of a tag that are counted, as far as is needed: more are many


@frozen
class Plan:
    """Which registrations are looked through for a message: those with one of ``tags`` (None: all) that match the expression (None: all of these)."""

    message: MessageRow
    until: int
    expression: TagExpression | None
    tags: frozenset[str] | None


class TargetPages:
    """Reads the targets of messages; all methods raise ``StateUnavailable`` where the store cannot be read."""

    def __init__(self, store: HubStore, channels: ChannelDirectory) -> None:
        self._store = store
        self._channels = channels

    async def last_place(self, message: MessageRow) -> int:
        """Return the last place of a message's targets, as they are now."""
        return len(message.devices) if message.devices else await self._store.last_sequence(message.hub)

    async def plan(self, message: MessageRow, until: int) -> Plan:
        """Find out which registrations are to be looked through for a message, up to a place."""
        expression = read_tag_expression(message.tags) if message.tags else None
        tags = None if expression is None else await self._drivers(message.hub, expression)
        if isinstance(expression, HasTag) or (isinstance(expression, HasAny) and _are_tags(expression.parts)):
            expression = None  # who has one of these tags matches
        return Plan(message, until, expression, tags)

    async def page(self, plan: Plan, after: int) -> tuple[int, list[Target]]:
        """Return the last place of the page behind a place, which is the plan's last where no more follow, and its targets."""
        message = plan.message
        if message.devices:
            end = min(after + PAGE, plan.until)
            targets = [await self._named(message, place) for place in range(after + 1, end + 1)]
        else:
            rows = await self._store.targets(message.hub, plan.tags, after, plan.until, PAGE)
            end = rows[-1].sequence if len(rows) == PAGE else plan.until
            targets = [self._target(row) for row in rows if _matches(plan.expression, row)]
        await self._channels.know_apps(target.channel for target in targets)
        return end, targets

    async def at(self, message: MessageRow, attempts: dict[int, int]) -> list[Target]:
        """Return the targets at these places that are there still, with how often each was tried."""
        if message.devices:
            targets = [await self._named(message, place, count) for place, count in attempts.items()]
        else:
            rows = await self._store.targets_at(message.hub, list(attempts))
            targets = [self._target(row, attempts[row.sequence]) for row in rows]
        await self._channels.know_apps(target.channel for target in targets)
        return targets

    async def _drivers(self, hub: int, expression: TagExpression) -> frozenset[str] | None:
        """Return the tags whose registrations are looked through: of several sets that would do, the one with fewest."""
        compared: set[str] = set()

        def note(tag: str) -> int:
            compared.add(tag)
            return 1

        drivers = expression.drivers(note)
        if len(compared) < 2:
            return drivers
        for limit in _WEIGHED:
            weights = await self._store.weights(hub, compared, limit)
            drivers = expression.drivers(weights.__getitem__)
            if drivers is not None and sum(weights[tag] for tag in drivers) < limit:
                break  # any other set has a tag of which no more were counted, and is no better
        return drivers

    async def _named(self, message: MessageRow, place: int, attempts: int = 0) -> Target:
        """Return a channel that the message names itself."""
        uri = message.devices[place - 1]
        token = token_of_uri(uri)
        return Target(place, uri, await self._channels.kept(token) if token else None, None, attempts)

    def _target(self, row: TargetRow, attempts: int = 0) -> Target:
        channel: ChannelRow | None = row.channel and self._channels.newest(row.channel)
        return Target(row.sequence, row.registration.channel_uri, channel, row.registration, attempts)


def _are_tags(parts: Iterable[TagExpression]) -> bool:
    return all(isinstance(part, HasTag) for part in parts)


def _matches(expression: TagExpression | None, row: TargetRow) -> bool:
    return expression is None or expression.matches(frozenset(row.registration.tags))
