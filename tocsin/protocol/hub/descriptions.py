"""What a hub knows of a device: its registrations, or its installation, which stands for several of them."""

from __future__ import annotations

from attrs import Factory, field, frozen

MAX_TAGS = 60
"""Tags of a registration or an installation at most."""

MAX_CHANNEL_URI = 2_048
"""Characters of a channel's URI at most."""


@frozen
class BodyTemplate:
    """A template: the body with its expressions, and the headers that it is sent with, ``X-WNS-Type`` among them."""

    name: str
    body: str
    headers: tuple[tuple[str, str], ...]
    tags: tuple[str, ...] = ()
    """Those of the template itself, which an installation's may have."""


@frozen
class RegistrationDescription:
    """A registration as a hub keeps it; ``expires`` is the channel's end in seconds since the epoch, None where it is not known."""

    id: str
    channel_uri: str = field(repr=False)
    tags: tuple[str, ...] = ()
    etag: int = 1
    expires: float | None = None
    template: BodyTemplate | None = None
    variables: tuple[tuple[str, str], ...] = ()
    """What a template's expressions find where the message has no property of that name."""
    secondary_tile: str = ""
    installation: str = ""
    """The installation that it is a part of; empty: it stands for itself."""


@frozen
class SecondaryTile:
    """A tile with a channel of its own."""

    channel_uri: str = field(repr=False)
    tags: tuple[str, ...] = ()
    templates: tuple[BodyTemplate, ...] = ()
    expired: bool = False


@frozen
class Installation:
    """An installation as a hub keeps it; ``expires`` in seconds since the epoch, None: it does not."""

    id: str
    channel_uri: str = field(repr=False)
    user_id: str = ""
    tags: tuple[str, ...] = ()
    expired: bool = False
    """Whether the channel has ended: nothing is sent to it until the app names another."""
    expires: float | None = None
    variables: tuple[tuple[str, str], ...] = ()
    templates: tuple[BodyTemplate, ...] = ()
    tiles: dict[str, SecondaryTile] = Factory(dict)
