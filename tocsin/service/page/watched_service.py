"""A push service as what its page is of."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from attrs import frozen

from tocsin.protocol.errors import StateUnavailable
from tocsin.service.page.markup import Markup
from tocsin.service.page.picture import Observer, Picture, ShownChannel
from tocsin.service.page.push_rows import COLUMNS
from tocsin.service.page.samples import Sample, Samples
from tocsin.service.page.sections import APPS, CHANNELS, DEVICES, sections
from tocsin.service.page.subject import Face, Table

FACE: Final = Face(
    kind="Push service",
    teller="The service",
    skip_words="Skip to the form that sends",
    skip_to="#send",
    now=("standing", "plots"),
    columns=COLUMNS,
    tables=(
        Table("Channels", "channel", CHANNELS, "Channels, the newest first"),
        Table("Devices", "device", DEVICES),
        Table("Apps", "app", APPS),
    ),
    note="URIs, tokens and secrets are shown nowhere: the service keeps their hashes.",
)


@frozen
class WatchedService:
    """Looks at a service.

    :param observer: takes pictures of it, with the curves of the samples; ``count`` counts what there is.
    :param url: the service's URL, and ``since`` when it was started.
    """

    _observer: Observer
    _samples: Samples
    _count: Callable[[float], Sample]
    _url: str
    _since: float

    async def take(self) -> Picture:
        """Take a picture."""
        return await self._observer.take()

    async def search(self, app: str, begins: str) -> tuple[ShownChannel, ...]:
        """Return the channels of some app, device or name; none where they cannot be read, as the picture says."""
        with suppress(StateUnavailable):
            return await self._observer.search(app, begins)
        return ()

    def write(self, picture: Picture) -> dict[str, Markup]:
        """Write the sections that show a picture."""
        return sections(picture, self._url, self._since)

    async def written(self) -> dict[str, Markup]:
        """Take a picture, and write it."""
        return self.write(await self.take())

    def sample(self, now: float) -> None:
        """Keep a sample."""
        self._samples.add(self._count(now))
