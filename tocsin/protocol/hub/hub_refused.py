"""What a hub's client is told where the hub does not do what it asks."""

from __future__ import annotations

from collections.abc import Iterable


class HubRefused(Exception):  # a refusal, as elsewhere
    """A request that a hub refuses: the HTTP status, a sentence that says what would be right, and when to come again.

    :param retry_after: seconds; None where no time is known. A refusal with 429 always has one.
    :param allowed: the methods that are taken instead, of one with 405.
    """

    def __init__(
        self, status: int, detail: str, retry_after: int | None = None, *, allowed: Iterable[str] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after
        self.allowed = tuple(allowed)
