"""What unmodified clients send for their messages, each in its own spelling, and what they need to get for it."""

from __future__ import annotations

from tests.service.hub.hub_world import RAW, WINDOWS, HubWorld
from tests.service.hub.rows import Row, check, rows
from tocsin.protocol.hub.rights import Right

TOAST = "<toast><visual><binding template='ToastText01'><text id='1'>Hi</text></binding></visual></toast>"
BADGE = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?><badge value="7"/>'
TEMPLATE = {"ServiceBusNotification-Format": "template", "Content-Type": "application/json;charset=utf-8"}
SENT = {
    "Location": "https://127[.]0[.]0[.]1:[0-9]+/contoso/messages/[0-9a-f-]{36}",
    "TrackingId": ".+",
    "x-ms-correlation-request-id": ".+",
}
LATER = SENT | {"Location": "https://127[.]0[.]0[.]1:[0-9]+/contoso/schedulednotifications/[0-9a-f-]{36}"}
XML = "application/xml.*"
SEND = "POST /contoso/messages?api-version=2020-06"
SCHEDULE = "POST /contoso/schedulednotifications?api-version=2020-06"
TYPED = WINDOWS | {"X-WNS-Type": "wns/toast", "Content-Type": "application/xml"}
TO_ONE = RAW | {"ServiceBusNotification-DeviceHandle": "<uri>"}
BATCH = (
    "--nh-boundary-1\r\nContent-type: application/octet-stream\r\nContent-Disposition: inline; name=notification\r\n\r\na\r\n--nh-b\r\n"
    '\r\n--nh-boundary-1\r\nContent-type: application/json\r\nContent-Disposition: inline; name=devices\r\n\r\n["<uri>"]\r\n--nh-boundary-1--'
)
BATCHED = RAW | {"Content-Type": 'multipart/mixed; boundary = "nh-boundary-1"'}
OUTCOME = ("<NotificationOutcome [^>]*xmlns=", "<Success>[0-9]+</Success><Failure>[0-9]+</Failure><Results")
RESULT = (
    "<RegistrationResult><ApplicationPlatform>windows</ApplicationPlatform><PnsHandle><uri></PnsHandle>"
    "(<RegistrationId/>|<RegistrationId>.+</RegistrationId>)<Outcome>.+</Outcome></RegistrationResult>"
)


def tagged(expression: str) -> dict[str, str]:
    """Return the headers of a raw notification to a tag expression."""
    return RAW | {"ServiceBusNotification-Tags": expression}


def at(time: str) -> dict[str, str]:
    """Return the headers of a raw notification for later."""
    return RAW | {"ServiceBusNotification-ScheduleTime": time}


SENDING = [
    Row("a toast", SEND, 201, SENT, (), TOAST, TYPED, Right.SEND, empty=True),
    Row("a slash at the end", "POST /contoso/messages/?api-version=2015-04", 201, SENT, (), TOAST, TYPED, Right.SEND, empty=True),
    Row("a capital in the path", "POST /contoso/Messages?api-version=2016-07", 201, SENT, (), TOAST, TYPED | {"Content-Type": 'text/xml;charset="utf-8"'}, empty=True),
    Row("raw of any bytes", SEND, 201, SENT, (), "anything", RAW, empty=True),
    Row("a badge behind a declaration", SEND, 201, SENT, (), BADGE, TYPED | {"X-WNS-Type": "wns/badge"}, empty=True),
    Row("a toast without its type", SEND, 201, SENT, (), TOAST.replace("<toast>", "<toast launch='x'>"), WINDOWS | {"Content-type": "application/xml"}, empty=True),
    Row("a badge without its type", SEND, 201, SENT, (), BADGE, WINDOWS | {"Content-type": "application/xml"}, empty=True),
    Row("a text without its type", SEND, 400, {"Content-Type": XML}, ("<Code>400</Code>.*X-WNS-Type is missing.*wns/raw",), "just text", WINDOWS | {"Content-type": "application/xml"}),
    Row("headers that are others' to know", SEND, 201, SENT, (), TOAST,
        TYPED | {"ServiceBusNotification-TimeToLive": "600", "ServiceBusNotification-Urgency": "high", "ServiceBusNotification-TestSend": "true"}, empty=True),
    Row("names of headers in small letters", SEND, 201, SENT, (), TOAST, {name.lower(): value for name, value in TYPED.items()}),
    Row("to one tag", SEND, 201, SENT, (), "x", tagged("news")),
    Row("to one tag and not another", SEND, 201, SENT, (), "x", tagged("first && !second")),
    Row("to tags in brackets", SEND, 201, SENT, (), "x", tagged("(sport || unused) && news")),
    Row("to a list of tags", SEND, 201, SENT, (), "x", tagged("unused || news")),
    Row("to a list of tags without blanks", SEND, 201, SENT, (), "x", tagged("first||storms")),
    Row("to an installation", SEND, 201, SENT, (), "x", tagged("$InstallationId:{i-1}")),
    Row("to a user", SEND, 201, SENT, (), "x", tagged("$UserId:{ann}")),
    Row("to what is no expression", SEND, 400, {"Content-Type": XML}, ("<Code>400</Code>.*&amp;&amp;",), "x", tagged("sport AND news")),
    Row("to what one readme shows", SEND, 400, {}, ("&amp;&amp;",), "x", tagged("user:123 AND web")),
    Row("of the properties of a template", SEND, 201, SENT, (), '{"message":"Tom & \\"Ann\\""}', TEMPLATE, Right.SEND, empty=True),
    Row("of numbers and escapes", SEND, 201, SENT, (), '{"count": 3, "x": "\\u00e9"}', TEMPLATE, empty=True),
    Row("of another platform", SEND, 400, {"Content-Type": XML}, ("ServiceBusNotification-Format is windows or template",), "{}", {"ServiceBusNotification-Format": "apple"}),
    Row("without a format", SEND, 400, {}, ("ServiceBusNotification-Format is windows or template",), "x", {}),
    Row("longer than WNS takes", SEND, 413, {"Content-Type": XML}, ("<Code>413</Code>.*5120|5,?000",), "x" * 6_000, RAW),
    Row("direct", SEND + "&direct", 201, SENT, (), "x", TO_ONE, Right.SEND, empty=True),
    Row("direct=true", SEND + "&direct=true", 201, SENT, (), "x", TO_ONE, empty=True),
    Row("direct, before the version and behind a slash", "POST /contoso/messages/?direct&api-version=2015-04", 201, SENT, (), "x", TO_ONE, empty=True),
    Row("direct without a channel", SEND + "&direct", 400, {}, ("ServiceBusNotification-DeviceHandle",), "x", RAW),
    Row("a batch", "POST /contoso/messages/$batch?api-version=2020-06&direct=true", 201, SENT, (), BATCH, BATCHED, Right.SEND, empty=True),
    Row("a batch, its $ escaped", "POST /contoso/messages/%24batch?api-version=2020-06&direct", 201, SENT, (), BATCH, BATCHED, empty=True),
    Row("a test", SEND + "&test", 201, SENT | {"Content-Type": XML}, OUTCOME, "x", tagged("of-no-one"), Right.SEND),
    Row("test=true", SEND + "&test=true", 201, SENT | {"Content-Type": XML}, (*OUTCOME, RESULT), "x", tagged("of-a-row") | {"x-for": "<id>"}),
    Row("a direct test", SEND + "&direct&test", 201, SENT | {"Content-Type": XML}, (*OUTCOME, RESULT.replace("|<RegistrationId>.+</RegistrationId>", "")), "x", TO_ONE),
    Row("later, plain", SCHEDULE, 201, LATER, (), "x", at("2027-01-15T09:00:00"), Right.SEND, empty=True),
    Row("later, with thousandths and Z", "POST /contoso/schedulednotifications/?api-version=2020-06", 201, LATER, (), "x", at("2027-01-15T09:00:00.997Z"), empty=True),
    Row("later, with a quoted T", SCHEDULE, 201, LATER, (), "x", at("2027-01-15'T'09:00:00"), empty=True),
    Row("later, with an offset", SCHEDULE, 201, LATER, (), "x", at("2027-01-15T09:00:00.123456+00:00"), empty=True),
    Row("later, with millionths and no zone", SCHEDULE, 201, LATER, (), "x", at("2027-01-15T09:00:00.123456"), empty=True),
    Row("later, in no time", SCHEDULE, 400, {"Content-Type": XML}, ("ServiceBusNotification-ScheduleTime",), "x", at("tomorrow")),
    Row("later, without a time", SCHEDULE, 400, {}, ("ServiceBusNotification-ScheduleTime is missing",), "x", RAW),
    Row("later, to one channel", SCHEDULE, 201, LATER, (), "x", at("2027-01-15T09:00:00") | TO_ONE),
    Row("cancelled", "DELETE /contoso/schedulednotifications/<scheduled>?api-version=2020-06", 200, {}, (), right=Right.SEND, empty=True),
    Row("cancelled where it is not there", "DELETE /contoso/schedulednotifications/nothing", 404, {"Content-Type": XML}, ("<Code>404</Code>",)),
    Row("what became of it", "GET /contoso/messages/<message>?api-version=2020-06", 200, {"Content-Type": XML}, (
        "<NotificationDetails [^>]*xmlns=", "<NotificationId><message></NotificationId>", "<Location>https://[^<]+/contoso/messages/<message></Location>",
        "<State>NoTargetFound</State>", "<EnqueueTime>2027-01-15T08:00:00.000Z</EnqueueTime>", "<NotificationBody>x</NotificationBody>", "<Tags>no-one</Tags>",
        "<TargetPlatforms>windows</TargetPlatforms>",
    ), right=Right.SEND, lacks=("WnsOutcomeCounts",)),
    Row("what became of what is scheduled", "GET /contoso/messages/<scheduled>", 200, {"Content-Type": XML}, ("<State>Scheduled</State>",), lacks=("StartTime", "EndTime")),
    Row("what became of what is not there", "GET /contoso/messages/nothing", 404, {"Content-Type": XML}, ("<Code>404</Code>",)),
    Row("a tracking id of the client", SEND, 201, SENT | {"TrackingId": "11-22", "x-ms-correlation-request-id": "11-22"}, (), "x", RAW | {"TrackingId": "11-22"}),
]  # fmt: skip


@rows(SENDING)
async def test_a_client_sends_as_it_is_used_to(shared: HubWorld, row: Row) -> None:
    """Exactly 201 for what is taken, with a Location of four pieces; what is not taken is refused in words."""
    await check(shared, row)
