"""What ``/_tocsin/`` takes and gives: each object of JSON as a class."""

from __future__ import annotations

from typing import Any, Final, Literal

from attrs import Factory, fields, frozen

from tocsin.protocol.platform.policy import AppRules
from tocsin.testing.json_shapes import said
from tocsin.testing.played_host import MOST_DATA
from tocsin.testing.twin import MANY, PATIENCE

MOST_KEPT = 10_000
"""Pushes, and requests, that are kept, the newest."""

MAX_WAIT: Final = 300
"""Seconds that may be waited for pushes."""

PRINTABLE: Final = r"^(?: |[^\p{C}\p{Z}])*$"
"""What has room in a header."""

TIME_OF_DAY: Final = "^(?:[01][0-9]|2[0-3]):[0-5][0-9]$"

_STATUS: Final = {"minimum": 200, "maximum": 599}
_TIMES: Final = {"minimum": 1, "maximum": MANY}
_RETRY_AFTER: Final[dict[str, Any]] = {"minimum": 0, "maximum": MANY, "pattern": PRINTABLE}
_AHEAD: Final = {"minimum": 0}
_BYTES: Final = {"minimum": 0, "maximum": MOST_DATA}
_OF_AN_APP: Final = {
    "properties": {
        each.name: {"type": "integer", **_BYTES} if each.name.startswith("daily_") else {"type": "boolean"}
        for each in fields(AppRules)
    },
    "additionalProperties": False,
}

Condition = Literal[
    "on_battery", "battery_low", "battery_saver", "locked", "logged_off", "metered", "offline", "quiet_hours"
]
"""What the machine may be in, as the methods of ``wns.host``."""


@frozen
class Nothing:
    """An empty object."""


@frozen
class About:
    """What a sender, and an app, need to know, and how the twin stands."""

    url: str = said("the service")
    client_id: str = said("the app's credentials, which a sender gets tokens with; the same at every start")
    client_secret: str = said("see client_id")
    remote_id: str = said("what apps ask for channels with; the same at every start")
    channel_uri: str = said("where to push")
    token_url: str = said("the token endpoint in the Live form")
    aad_token_url: str = said("the token endpoint in the form of Entra v2; any tenant will do")
    online: bool = said("whether the device has a connection")
    now: float = said("the service's time, in seconds since the epoch")


@frozen
class Wait:
    """How long to wait, and for what."""

    count: int = said("answer once so many have come", 0, minimum=0, maximum=MANY)
    timeout: float = said("seconds that are waited at most", PATIENCE, minimum=0, maximum=MAX_WAIT)


@frozen
class PushShown:
    """A notification that has reached the device."""

    id: str = said("the X-WNS-Msg-ID that its sender was told")
    type: str = said("raw, toast, tile or badge")
    body: bytes = said("the body, in base 64")
    text: str | None = said("the body as text; null where it is no UTF-8")
    expires: float | None = said("when it expires, in seconds since the epoch on the service's clock; null for never")
    priority: int = said("from 1, high, to 4, very low")
    channel_uri: str = said("the channel that it was sent to")
    tag: str = said("its tag; empty where it has none")
    group: str = said("its group; empty where it has none")
    suppress_popup: bool = said("whether it is not to pop up")


@frozen
class PushesShown:
    """What has reached the device since the start, or since it was cleared."""

    count: int = said("how many have come; those that are not kept any more are counted")
    pushes: list[PushShown] = said(f"the newest {MOST_KEPT}, in the order in which they came")


@frozen
class RequestShown:
    """A notification as it was sent, and how it was answered."""

    method: str = said("POST or DELETE, or what else was tried")
    headers: dict[str, str] = said("what the sender sent, by lower-cased name")
    status: int = said("the HTTP status")
    id: str = said("X-WNS-Msg-ID; empty for an answer that was made on demand")
    outcome: str = said("X-WNS-Status: received, dropped or channelthrottled; empty where the answer has none")
    description: str = said("X-WNS-Error-Description; empty where the answer has none")
    warnings: list[str] = said("what the real WNS takes as well, and Windows does nothing with: a sentence each")


@frozen
class RequestsShown:
    """What senders have asked since the start, or since it was cleared."""

    token_requests: int = said("how often a token was asked for")
    requests: list[RequestShown] = said(f"the notifications, the newest {MOST_KEPT}")


@frozen
class Fail:
    """The answer to the next notifications."""

    status: int = said("the HTTP status", 503, **_STATUS)
    times: int | None = said("to how many; null: until heal", 1, **_TIMES)
    retry_after: int | str | None = said(
        "Retry-After: seconds, or any text, such as a date; null: none", None, **_RETRY_AFTER
    )
    description: str = said(
        "X-WNS-Error-Description; empty: one that says that it was on demand", "", pattern=PRINTABLE
    )


@frozen
class ThrottleNext:
    """How the next notifications are throttled."""

    times: int | None = said("how many; null: until heal", 1, **_TIMES)
    retry_after: int | str | None = said("Retry-After: seconds, or any text; null: none", 1, **_RETRY_AFTER)


@frozen
class RefuseToken:
    """The answer to the next requests for a token."""

    error: str = said("the OAuth error", "invalid_client")
    status: int | None = said(
        "the HTTP status; null: what the endpoint has for a wrong secret, 400 or 401", None, **_STATUS
    )
    times: int | None = said("how many; null: until heal", None, **_TIMES)


@frozen
class ChannelShown:
    """The channel."""

    channel_uri: str = said("where to push from now on")


@frozen
class Advance:
    """How far the clock jumps ahead; the sum counts, and leads no further than the year 9999."""

    days: float = said("days", 0, **_AHEAD)
    hours: float = said("hours", 0, **_AHEAD)
    minutes: float = said("minutes", 0, **_AHEAD)
    seconds: float = said("seconds", 0, **_AHEAD)


@frozen
class ClockShown:
    """The service's clock, by which tokens, channels and notifications expire."""

    now: float = said("seconds since the epoch")


@frozen
class PlayedRules:
    """The group policy; null leaves a rule as it is."""

    cloud_notifications: bool | None = said("whether notifications come from the network", None)
    toasts: bool | None = said("whether toasts do", None)
    tiles: bool | None = said("whether tiles do", None)
    badges: bool | None = said("whether badges do", None)
    daily_data: int | None = said("bytes a day of each app after which its background work waits", None, **_BYTES)
    daily_metered_data: int | None = said("the same, on networks that cost by what goes over them", None, **_BYTES)
    quiet_hours: list[str] | None = said(
        'when only what is urgent is shown, as ["22:00", "07:00"]',
        None,
        minItems=2,
        maxItems=2,
        items={"pattern": TIME_OF_DAY},
    )
    apps: dict[str, dict[str, bool | int]] | None = said(
        'the rules of single apps, as {"app": {"tiles": false}}', None, additionalProperties=_OF_AN_APP
    )


@frozen
class HostWished:
    """The machine of the device as it is to be; what is not named is well."""

    conditions: list[Condition] = said("what it is in, all at once", Factory(list))
    exempt: list[str] = said("apps that are exempt from energy saver; the channel's is called app", Factory(list))
    policy: PlayedRules = said("the group policy", Factory(PlayedRules))


@frozen
class HostShown:
    """The machine of the device as it is."""

    on_battery: bool = said("whether it runs on battery")
    battery_low: bool = said("whether the battery is nearly empty")
    power_saver: bool = said("whether energy is saved by the user's choice")
    session_connected: bool = said("whether the user is logged on")
    user_present: bool = said("whether the user is there")
    internet: bool = said("whether there is a network")
    metered: bool = said("whether it costs by what goes over it")


@frozen
class Problem:
    """Why a request was not done (RFC 9457, application/problem+json)."""

    type: str = said("always about:blank")
    title: str = said("the words of the status")
    status: int = said("the HTTP status")
    detail: str = said("a sentence that says what is wrong, and what to do")
    kind: str = said("the class of the error, such as InvalidArgument or TimedOut")
    hresult: int = said("the code that Windows would report")
