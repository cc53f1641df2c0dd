"""What a message becomes for a target: the notification as WNS has it, and its body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from tocsin.protocol.errors import UnreadableContent
from tocsin.protocol.hub.descriptions import BodyTemplate, RegistrationDescription
from tocsin.protocol.hub.hub_outcomes import HubOutcome, TargetOutcome
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.hub.template import Template, read_template
from tocsin.protocol.hub.template_properties import read_properties
from tocsin.protocol.service import wns
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.values import MAX_PAYLOAD, WNS_TYPES, NotificationType
from tocsin.protocol.xml_tree import parse_xml
from tocsin.service.registry.hub_store import MessageRow

NATIVE: Final = "windows"
"""The format of a message that goes to registrations without a template, as it is."""

TEMPLATE: Final = "template"
"""The format of a message that has properties only: each registration's template makes a notification of them."""

Composed = tuple[Notification, bytes] | TargetOutcome
Compose = Callable[[RegistrationDescription | None], Composed | None]
"""Makes the notification for a registration (None: for a channel that was named itself), or tells why there is none; None: it is none of the message's."""

_TOO_LARGE: Final = TargetOutcome(
    HubOutcome.TOO_LARGE, f"The template makes more of it than the {MAX_PAYLOAD} bytes that are allowed"
)
_TYPES: Final = ", ".join(f"wns/{kind}" for kind in WNS_TYPES)


def read_native(headers: Mapping[str, str], body: bytes) -> Notification:
    """Judge a message that is a notification already; without ``X-WNS-Type`` its type is that of the root element.

    :param headers: names in lower case.
    :raises HubRefused: it cannot be sent so.
    """
    own = {name: value for name, value in headers.items() if name.startswith("x-wns-")}
    if "x-wns-type" not in own:
        own["x-wns-type"] = f"wns/{_type_of(body)}"
    media_type = "application/octet-stream" if own["x-wns-type"] == "wns/raw" else "text/xml"
    own |= {"content-type": media_type, "content-length": str(len(body))}
    wanted = wns.read_notification(own)
    if isinstance(wanted, wns.WnsRefusal):
        reason = HubReason.TOO_LARGE if wanted.status == HubReason.TOO_LARGE.status else HubReason.WRONG_NOTIFICATION
        raise HubRefused(reason, wanted.description)
    return wanted.notification


def _type_of(body: bytes) -> NotificationType:
    try:
        root = parse_xml(body).name
    except UnreadableContent as wrong:
        raise HubRefused(
            HubReason.WRONG_MESSAGE, f"X-WNS-Type is missing, and the body tells no type, since {wrong}: send {_TYPES}."
        ) from None
    if root not in {NotificationType.TOAST, NotificationType.TILE, NotificationType.BADGE}:
        raise HubRefused(
            HubReason.WRONG_MESSAGE,
            f"X-WNS-Type is missing, and the root of the body is no toast, tile or badge: send {_TYPES}.",
        )
    return NotificationType(root)


def composer(message: MessageRow) -> Compose:
    """Return what makes the notifications of a message.

    :raises HubRefused: it can make none.
    """
    headers = dict(message.headers)
    if message.format == NATIVE:
        composed = read_native(headers, message.body), message.body
        return lambda registration: composed if registration is None or registration.template is None else None
    properties = read_properties(message.body)

    def compose(registration: RegistrationDescription | None) -> Composed | None:
        if registration is None or registration.template is None:
            return None
        template, variables = template_of(registration.template), dict(registration.variables)
        body = template.render(properties, variables).encode()
        if len(body) > MAX_PAYLOAD:
            return _TOO_LARGE
        try:
            own = template.render_headers(properties, variables)
            return read_native({name.lower(): value for name, value in own}, body), body
        except HubRefused as refused:
            return TargetOutcome(HubOutcome.WRONG_PAYLOAD, refused.detail)

    return compose


@lru_cache(1_024)  # an app's registrations have the same few
def template_of(template: BodyTemplate) -> Template:
    """Read a template.

    :raises HubRefused: it cannot be read.
    """
    return read_template(template.body, template.headers)
