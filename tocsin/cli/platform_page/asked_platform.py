"""A platform in another process, such as the agent: asked over the control socket of its state folder, its store only read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import anyio
from attrs import field, fields_dict, frozen

from tocsin.cli.state_choice import PLATFORM
from tocsin.followers import Followers
from tocsin.persistence.sqlite_store import read_sqlite
from tocsin.persistence.store import StoredActivator, StoredChannel
from tocsin.protocol.delivery.payload_events import PayloadEvent, Stage
from tocsin.protocol.errors import PushError, StateUnavailable
from tocsin.transport.control_socket import Answer, ask, follow

OUTCOMES: Final = (
    *(Stage.GATED, Stage.PARKED, Stage.LAUNCHED, Stage.CANCELED),
    *(Stage.HANDLED, Stage.SHOWN, Stage.SUPPRESSED, Stage.DEAD),
)
"""The stages that say what becomes of a payload; the others say only that it is on its way."""

_AGAIN: Final = 2.0  # seconds after which what has ended is followed again
_FIELDS: Final = tuple(fields_dict(PayloadEvent))


@frozen
class PlatformPicture:
    """What there is at a moment."""

    status: Answer | None
    """What it says of itself; None where it says nothing."""
    policy: Answer
    troubles: Mapping[str, str]
    """What cannot be known, and why."""
    channels: Sequence[StoredChannel] = ()
    activators: Sequence[StoredActivator] = ()
    waiting: Mapping[str, int] = field(factory=dict[str, int])
    """How many payloads wait, by their channels."""
    dead: Mapping[str, int] = field(factory=dict[str, int])
    """How many ended unhandled, by the reason."""


class AskedPlatform:
    """Asks a platform how it stands, and hears what becomes of payloads."""

    def __init__(self, state: Path) -> None:
        self.followers = Followers()
        """Those who hear it."""
        self._state = state
        self._silence = ""  # why nothing is heard

    async def take(self) -> PlatformPicture:
        """Take a picture; what cannot be had is said in it."""
        status, policy, troubles = None, Answer(), dict[str, str]()
        try:
            status = await ask(self._state, {"verb": "status"})
            policy = await ask(self._state, {"verb": "policy"}) or {}
            if status is None:
                troubles["here"] = f"nothing runs on {self._state} any more"
            elif self._silence:
                troubles["payloads"] = self._silence
        except PushError as failure:
            troubles["here"] = str(failure)
        try:
            async with read_sqlite(self._state / PLATFORM) as store:
                channels, activators = await store.channels(), await store.activators()
                waiting, dead = await store.waiting(), await store.dead_letter_counts()
        except StateUnavailable as failure:
            return PlatformPicture(status, policy, troubles | {"store": str(failure)})
        return PlatformPicture(status, policy, troubles, channels, activators, waiting, dead)

    async def listen(self) -> None:
        """Tell followers what becomes of payloads, without an end; one that runs later on the same folder is heard too."""
        wanted = {"verb": "tail", "stages": [str(stage) for stage in OUTCOMES]}
        while True:
            try:
                async with aclosing(follow(self._state, wanted)) as told:
                    self._silence = ""
                    async for each in told:
                        self._tell(each)
            except PushError as failure:
                self._silence = str(failure)
            await anyio.sleep(_AGAIN)

    def _tell(self, told: Answer) -> None:
        if "lost" in told:
            self.followers.lose(int(told["lost"]))
            return
        event = read_event(told)
        if event is not None:
            self.followers.tell(event)


def read_event(told: Mapping[str, Any]) -> PayloadEvent | None:
    """Read what was told of a payload, with all words on why as its reason; None where it is of a stage that is not known."""
    if told.get("stage") not in set(OUTCOMES):
        return None
    known: dict[str, Any] = {name: told[name] for name in _FIELDS if name in told}
    reason = ": ".join(filter(None, (known.get("reason"), known.get("detail"))))
    detail = f"attempt {known['attempt']}" if known.get("attempt", 0) > 1 else ""
    return PayloadEvent(**known | {"stage": Stage(told["stage"]), "reason": reason, "detail": detail})
