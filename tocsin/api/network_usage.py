"""What an app sends and receives over the network, as far as it goes through Tocsin or the app says it."""

from __future__ import annotations

from datetime import datetime

from tocsin.api.session import Session
from tocsin.protocol import messages as m
from tocsin.protocol.arguments import check_kind, check_within
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.usage import MAX_REPORT, AttributedNetworkUsage


class NetworkUsage:
    """The bytes that go on the account of one app; ``usage`` of its manager.

    Counted are its channel requests and their answers, its payloads with their headers, their acknowledgements, and what the
    app reports by :meth:`add`. They are kept for 62 days.
    """

    def __init__(self, session: Session, app: str) -> None:
        self._session = session
        self._app = app

    async def add(self, *, sent: int = 0, received: int = 0) -> None:
        """Report bytes that the app has sent and received by itself, such as an upload; they count to its budget, too.

        :param sent: bytes, 0 to 2**40; ``received`` likewise.
        :raises InvalidArgument: a number is none of these.
        """
        check_within(sent, "the bytes sent", 0, MAX_REPORT)
        check_within(received, "the bytes received", 0, MAX_REPORT)
        number = self._session.questions.number()
        await self._session.questions.ask(m.ReportUsage(number, sent, received), number)

    async def get_attributed_network_usage(self, start: datetime, end: datetime) -> AttributedNetworkUsage:
        """Return what was sent and received on the days from one moment to another, both days as a whole, in local time.

        Both are aware datetimes. Source: ``ConnectionProfile.GetAttributedNetworkUsageAsync``.

        :raises InvalidArgument: a moment is no aware datetime, or the end is before the start.
        """
        first, last = _day_of(start, "the start"), _day_of(end, "the end")
        if end < start:
            raise InvalidArgument("the end is before the start")
        number = self._session.questions.number()
        found = await self._session.questions.ask_for(m.UsageFound, m.AskUsage(number, first, last), number)
        return AttributedNetworkUsage(self._app, self._app, found.sent, found.received)


def _day_of(moment: datetime, what: str) -> int:
    check_kind(moment, what, datetime)
    if moment.utcoffset() is None:
        raise InvalidArgument(f"{what} has no time zone; datetime.now(UTC), for example, has one")
    try:
        return moment.astimezone().toordinal()
    except OverflowError:  # at the very ends of the calendar
        return moment.toordinal()
