"""What a hub's client is told where the hub does not do what it asks."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum, unique
from typing import Self


@unique
class HubReason(StrEnum):
    """Why a hub refuses a request, by the name that operators are told, with the HTTP status that its client is."""

    status: int

    def __new__(cls, name: str, status: int) -> Self:
        """Make one of them."""
        reason = str.__new__(cls, name)
        reason._value_ = name
        reason.status = status
        return reason

    SIGNATURE_MISSING = "signature_missing", 401
    SIGNATURE_MALFORMED = "signature_malformed", 401
    UNKNOWN_KEY = "unknown_key", 401
    SIGNATURE_FORGED = "signature_forged", 401
    SIGNATURE_EXPIRED = "signature_expired", 401
    SIGNATURE_OF_ANOTHER_PATH = "signature_of_another_path", 401
    RIGHT_LACKING = "right_lacking", 403
    ADDRESS_THROTTLED = "address_throttled", 429
    SECRET_THROTTLED = "secret_throttled", 429
    UNKNOWN_HUB = "unknown_hub", 404
    UNKNOWN_PATH = "unknown_path", 404
    UNKNOWN_REGISTRATION = "unknown_registration", 404
    UNKNOWN_INSTALLATION = "unknown_installation", 404
    UNKNOWN_MESSAGE = "unknown_message", 404
    REGISTRATION_GONE = "registration_gone", 410
    WRONG_METHOD = "wrong_method", 405
    NOT_HERE = "not_here", 501
    WRONG_QUERY = "wrong_query", 400
    WRONG_JSON = "wrong_json", 400
    WRONG_REGISTRATION = "wrong_registration", 400
    WRONG_INSTALLATION = "wrong_installation", 400
    WRONG_TEMPLATE = "wrong_template", 400
    WRONG_TAG = "wrong_tag", 400
    WRONG_CHANNEL = "wrong_channel", 400
    CHANNEL_ENDED = "channel_ended", 400
    WRONG_TAG_EXPRESSION = "wrong_tag_expression", 400
    WRONG_MESSAGE = "wrong_message", 400
    WRONG_NOTIFICATION = "wrong_notification", 400
    WRONG_BATCH = "wrong_batch", 400
    WRONG_SCHEDULE_TIME = "wrong_schedule_time", 400
    PART_OF_INSTALLATION = "part_of_installation", 409
    CHANGED_MEANWHILE = "changed_meanwhile", 412
    TOO_LARGE = "too_large", 413
    BODY_TORN = "body_torn", 400
    BODY_LATE = "body_late", 408
    TOO_MANY_REGISTERED = "too_many_registered", 403
    TOO_MANY_SCHEDULED = "too_many_scheduled", 403
    TOO_MANY_WAITING = "too_many_waiting", 429
    STORE_UNUSABLE = "store_unusable", 503
    NODE_LAPSED = "node_lapsed", 503
    STOPPING = "stopping", 503


class HubRefused(Exception):  # a refusal, as elsewhere
    """A request that a hub refuses: the reason, a sentence that says what would be right, and when to come again.

    :param retry_after: seconds; None where no time is known. A refusal with 429 always has one.
    :param allowed: the methods that are taken instead, of one with 405.
    """

    def __init__(
        self, reason: HubReason, detail: str, retry_after: int | None = None, *, allowed: Iterable[str] = ()
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.status = reason.status
        self.detail = detail
        self.retry_after = retry_after
        self.allowed = tuple(allowed)
