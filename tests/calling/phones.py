"""A phone as a test sees it: its platform, with a desktop that is watched, its client and the toasts of its calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define

import tocsin
from tests.actors.shelling import PlayedDesktop
from tests.calling.answering import AnsweringService, agent_of, client_of
from tests.world import Gathered
from tocsin.calling import CallAgent, CallClient, CallToasts
from tocsin.shell import Handle, Popup

RINGS_ON = "Ann is calling you."
MISSED = "You missed a call from Ann."


class WatchedDesktop(PlayedDesktop):
    """A desktop that tells when something on it changes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Gathered()

    async def show(self, popup: Popup, replaces: Handle | None = None) -> Handle:
        """Show it."""
        self.seen.add(f"asked for {popup.title}")
        try:
            return await super().show(popup, replaces)
        finally:
            self.seen.add(popup.title)

    async def close(self, handle: Handle) -> None:
        """Close it."""
        await super().close(handle)
        self.seen.add("")

    async def until(self, *titles: str) -> None:
        """Wait until these are on the screen, and no others."""
        await self.seen.wait_until(lambda: self.titles == list(titles))

    async def until_asked(self, times: int) -> None:
        """Wait until it was asked so often to show something."""
        await self.seen.wait_until(lambda: len(self.asked) == times)

    def click(self, label: str = "", title: str = RINGS_ON) -> None:
        """Press a button of what has this title; without a label, click on the toast itself."""
        number = next(each for each, popup in self.popups.items() if popup.title == title)
        if label:
            self.press(number, next(each.key for each in self.popups[number].buttons if each.label == label))
        else:
            self.press(number)

    def shown(self, title: str) -> int:
        """Count how often it was asked to show something with this title."""
        return [popup.title for popup, _ in self.asked].count(title)


@define
class Phone:
    """One process of a phone."""

    desktop: WatchedDesktop
    service: AnsweringService
    manager: tocsin.PushNotificationManager
    client: CallClient
    bell: CallToasts
    told: Gathered
    """What the app was told by the events of the bell."""

    async def agent(self) -> CallAgent:
        """Make the agent."""
        return await agent_of(self.client)

    async def kept(self) -> list[tuple[str, str]]:
        """Return group and tag of all toasts, in the order of their coming."""
        return [(each.group, each.tag) for each in await self.manager.toasts.get_all()]


@asynccontextmanager
async def phone(
    folder: Path, desktop: WatchedDesktop | None = None, service: AnsweringService | None = None, **options: Any
) -> AsyncIterator[Phone]:
    """Run a process of a phone, on a platform of its own."""
    screen, told, played = desktop or WatchedDesktop(), Gathered(), service or AnsweringService()
    async with (
        tocsin.embedded("contoso.phone", folder / "platform", "http://127.0.0.1:9", desktop=screen) as manager,
        client_of(played, folder) as client,
    ):
        bell = CallToasts(manager.toasts, client, **options)
        for event in (bell.call_accepted, bell.call_declined, bell.call_opened, bell.answer_failed):
            event.add(told.add)
        async with bell:
            yield Phone(screen, played, manager, client, bell, told)
