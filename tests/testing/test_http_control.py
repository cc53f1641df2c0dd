"""``/_tocsin/``: a twin of WNS over HTTP, held against its own document."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import anyio
import anyio.lowlevel
import pytest

from tests.testing.controlling import Control
from tocsin.service.url_paths import PAGE_PATH
from tocsin.testing import LocalWns
from tocsin.testing.control_operations import OPERATIONS
from tocsin.testing.control_shapes import PRINTABLE, TIME_OF_DAY
from tocsin.testing.http_control import DOCUMENT, MAX_BODY, PREFIX
from tocsin.testing.json_shapes import schema_of

TOAST = b"<toast><visual><binding template='ToastGeneric'><text>Hello</text></binding></visual></toast>"
XML = {"Content_Type": "text/xml"}
EXAMPLES: dict[str, dict[str, Any]] = {
    "POST /fail": {"status": 503, "times": None, "retry_after": "soon", "description": "maintenance"},
    "POST /throttle": {"times": 2, "retry_after": 7},
    "POST /refuse-token": {"error": "invalid_client", "status": 400, "times": 1},
    "POST /clock": {"days": 1, "hours": 1.5, "minutes": 0, "seconds": 2},
    "PUT /host": {
        "conditions": ["on_battery", "locked"],
        "exempt": ["app"],
        "policy": {
            "cloud_notifications": True,
            "toasts": False,
            "tiles": None,
            "badges": None,
            "daily_data": 5000,
            "daily_metered_data": None,
            "quiet_hours": ["22:00", "07:00"],
            "apps": {"app": {"tiles": False, "daily_data": 7}},
        },
    },
}
"""A body with each field of each operation that takes any."""


def fits(schema: dict[str, Any], value: Any) -> bool:
    """Tell whether a value is as the schema says, as far as ours say it."""
    if "anyOf" in schema:
        return any(fits(each, value) for each in schema["anyOf"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(_is(kind, value) for kind in kinds) or ("enum" in schema and value not in schema["enum"]):
        return False
    if isinstance(value, list):
        return all(fits(schema["items"], each) for each in value)
    if isinstance(value, dict) and "properties" in schema:
        known: dict[str, Any] = schema["properties"]
        needed = set(schema.get("required", ()))
        return needed <= value.keys() <= known.keys() and all(fits(known[name], each) for name, each in value.items())
    if isinstance(value, dict):
        return all(fits(schema["additionalProperties"], each) for each in value.values())
    return True


def at_limits(schema: dict[str, Any]) -> Iterator[tuple[Any, bool]]:
    """Give values at the limits of a schema and next to them, each with whether it is within."""
    if "minimum" in schema:
        yield from ((schema["minimum"], True), (schema["minimum"] - 1, False))
    if "maximum" in schema:
        yield from ((schema["maximum"], True), (schema["maximum"] + 1, False))
    if schema.get("pattern") == PRINTABLE:
        yield from (("Späte Antwort", True), ("", True), ("a\nb", False), ("\u2028", False), ("\ue000", False))
    if schema.get("pattern") == TIME_OF_DAY:
        yield from (("00:00", True), ("23:59", True), ("24:00", False), ("9:00", False), ("09:60", False))
    if "minItems" in schema:
        for value, is_within in at_limits(schema["items"]):
            yield [value] * schema["minItems"], is_within
        yield from ((["09:00"] * count, False) for count in (schema["minItems"] - 1, schema["maxItems"] + 1))
    for name, inside in schema.get("properties", {}).items():
        yield from (({name: value}, is_within) for value, is_within in at_limits(inside))
    if schema.get("additionalProperties") is False:
        yield {"another": 1}, False
    elif "additionalProperties" in schema:
        yield from (({"app": value}, is_within) for value, is_within in at_limits(schema["additionalProperties"]))


def _is(kind: str, value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {
        "null": value is None,
        "boolean": isinstance(value, bool),
        "integer": number and isinstance(value, int),
        "number": number,
        "string": isinstance(value, str),
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }[kind]


class TestDocument:
    """The OpenAPI document, which is made of the same table as the routes."""

    async def test_each_route_answers_as_it_says(self, control: Control) -> None:
        """Each operation takes all fields that it documents, and none besides; its answer has all of its own, and none besides."""
        sender = await control.sender()
        await sender.push(b"one")
        await sender.push(b"<toast", X_WNS_Type="wns/toast", **XML)
        document = await control.do("GET", DOCUMENT)
        assert document["openapi"] == "3.1.0"
        assert set(document["paths"]) == {PREFIX + each.path for each in OPERATIONS}
        for each in OPERATIONS:
            described = document["paths"][PREFIX + each.path][each.method.lower()]
            body = EXAMPLES.get(f"{each.method} {each.path}")
            assert (body is not None) == ("requestBody" in described)
            if body is not None:
                schema = described["requestBody"]["content"]["application/json"]["schema"]
                assert fits(schema, body)
                assert set(schema["properties"]) == body.keys()
                status, problem = await control.ask(each.method, each.path, body | {"another": 1})
                assert (status, problem["kind"]) == (400, "InvalidArgument")
                assert fits(document["components"]["schemas"]["Problem"], problem)
            named = {one["name"]: 0 for one in described.get("parameters", ())}
            query = f"?{urlencode(named)}" if named else ""
            answer = await control.do(each.method, each.path + query, body)
            schema = described["responses"]["200"]["content"]["application/json"]["schema"]
            assert fits(schema, answer), (each.path, answer)
            assert set(schema["properties"]) == answer.keys()

    async def test_its_limits_are_those_that_are_checked(self, control: Control) -> None:
        """What is within them is not refused as wrong, and what is next to them is."""
        for each in OPERATIONS:
            for given, is_within in at_limits(schema_of(each.takes)):
                query = f"?{urlencode({'timeout': 0} | given)}" if each.method == "GET" and given else ""
                status, problem = await control.ask(each.method, each.path + query, None if query else given)
                assert (status != 400) is is_within, (each.path, given, problem)

    @pytest.mark.parametrize(("value", "status"), [(2.0, 200), (2.5, 400), (1e300, 400), (True, 400)])
    async def test_a_whole_number_may_be_written_with_a_point(
        self, control: Control, value: float, status: int
    ) -> None:
        """As JSON Schema has it."""
        assert (await control.ask("POST", "/fail", {"times": value}))[0] == status

    async def test_each_path_knows_its_methods(self, control: Control) -> None:
        """Any other is refused with those that it takes, and any other path with where the document is."""
        for path in {"/openapi.json", *(each.path for each in OPERATIONS)}:
            async with control.http.patch(control.url + PREFIX + path) as answer:
                assert answer.status == 405
                taken = {each.method for each in OPERATIONS if each.path == path} or {"GET"}
                assert set(answer.headers["Allow"].split(", ")) == taken
        status, problem = await control.ask("GET", "/nothing")
        assert (status, problem["kind"]) == (404, "NotFound")
        assert "/_tocsin/openapi.json" in problem["detail"]

    def test_it_can_all_that_the_fixture_can(self) -> None:
        """Each method of ``wns`` has an operation, and each condition of its machine a name."""
        paths = {each.path.strip("/") for each in OPERATIONS}
        others = {"wait_for": "pushes", "wait_for_async": "pushes", "go_offline": "offline", "go_online": "online"}
        calls = {name for name, kind in vars(LocalWns).items() if name[0] != "_" and callable(kind)}
        assert {others.get(name, name.replace("_", "-")) for name in calls} <= paths


class TestWhatIsAsked:
    """What goes wrong at the control, and is said."""

    @pytest.mark.parametrize(
        ("path", "body", "words"),
        [
            ("/fail", {"stats": 500}, "no field 'stats': did you mean status?"),
            ("/fail", {"status": "500"}, "status must be a whole number, not a text"),
            ("/fail", {"status": True}, "status must be a whole number, not true or false"),
            ("/fail", {"status": 99}, "status must be from 200 to 599, not 99"),
            ("/fail", {"times": 0}, "times must be from 1"),
            ("/fail", {"retry_after": [1]}, "retry_after must be a whole number or a text or null, not a list"),
            ("/fail", {"retry_after": "a\nb"}, "retry_after goes into a header"),
            ("/fail", [], "the body must be an object, not a list"),
            ("/fail", b"{", "the body is no JSON"),
            ("/fail", b'{"status": 500, "status": 200}', "twice in one object"),
            ("/heal", {"x": 1}, "no field 'x': it has none"),
            ("/clock", {"days": -1}, "time goes forward only"),
            ("/clock", {"days": 10**9}, "no calendar goes as far as that"),
            ("/clock", {"days": 10**400}, "days is a greater number than can be reckoned with"),
        ],
    )
    async def test_a_mistake_is_told_in_a_sentence(self, control: Control, path: str, body: object, words: str) -> None:
        """400, the class of the error, and nothing is done."""
        status, problem = await control.ask("POST", path, body)
        assert (status, problem["status"], problem["kind"]) == (400, 400, "InvalidArgument")
        assert words in problem["detail"]
        assert (await (await control.sender()).push(b"all is well"))[0] == 200

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"conditions": ["asleep"]}, "each of conditions is one of on_battery, battery_low"),
            ({"policy": {"quiet_hours": ["22:00"]}}, "quiet hours are two times"),
            ({"policy": {"apps": {"app": {"sound": True}}}}, "no such rule of an app: sound"),
            ({"exempt": "app"}, "exempt must be a list, not a text"),
        ],
    )
    async def test_a_machine_that_cannot_be_is_refused(self, control: Control, body: object, words: str) -> None:
        """In a sentence too; the machine is well then."""
        status, problem = await control.ask("PUT", "/host", body)
        assert (status, words in problem["detail"]) == (400, True), problem
        assert (await control.do("GET", "/host"))["on_battery"] is False

    async def test_a_body_is_bounded(self, control: Control) -> None:
        """One byte more than may be is refused, whatever is in it."""
        assert (await control.ask("POST", "/fail", b" " * MAX_BODY))[0] == 200
        assert (await control.ask("POST", "/fail", b" " * (MAX_BODY + 1)))[0] == 413

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Host": "evil.example"}, 403),
            ({"Host": "evil.example:8080"}, 403),
            ({"Host": "localhost.evil.example"}, 403),
            ({"Host": ""}, 403),
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Origin": "http://localhost:3000"}, 200),
            ({"Host": "localhost:1"}, 200),
            ({"Host": "[::1]:8080"}, 200),
        ],
    )
    async def test_pages_of_the_web_are_kept_out(self, control: Control, headers: dict[str, str], status: int) -> None:
        """A foreign host is a name that was pointed here, a foreign origin a page that asks; both are refused on each path."""
        for path in ("/", DOCUMENT):
            assert (await control.ask("GET", path, None, headers))[0] == status
        assert (await control.ask("POST", "/heal", None, headers))[0] == status


async def test_why_there_is_no_channel_is_said(control: Control) -> None:
    """In the service's words, such as for an app that was taken away with 'tocsin app remove'."""
    await control.twin.service.registrations.remove("development")
    status, problem = await control.ask("POST", "/reset")
    assert (status, problem["detail"][:51]) == (409, "no channel: no app is registered with the remote id")


async def test_an_answer_without_a_token_lets_none_expire(control: Control, caplog: pytest.LogCaptureFixture) -> None:
    """A refusal need be no JSON; what has no token is refused as it was before, in the service's own words."""
    for method in ("POST", "GET"):
        async with control.http.request(method, f"{control.url}/accesstoken.srf", data=b"") as refused:
            assert refused.status == {"POST": 400, "GET": 405}[method]
    await control.do("POST", "/expire-tokens")
    uri = (await control.do("GET", "/"))["channel_uri"]
    async with control.http.post(uri, data=b"x") as unsigned:
        assert (unsigned.status, unsigned.headers["X-WNS-Error-Description"][:13]) == (401, "Authorization")
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


async def test_the_page_of_the_service_is_below_it(control: Control) -> None:
    """What the page loads is the service's to answer."""
    async with control.http.get(f"{control.url}{PAGE_PATH}style.css") as answer:
        assert (answer.status, answer.content_type) == (200, "text/css")


class TestWhatItDoes:
    """That each operation does what it says."""

    async def test_pushes_can_be_waited_for(self, control: Control) -> None:
        """The answer comes with the push; without one, 504 says what has come; what is forgotten does not count."""
        sender = await control.sender()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sender.push, b"\xff")
            shown = await control.do("GET", "/pushes?count=1&timeout=20")
        (push,) = shown["pushes"]
        assert (shown["count"], push["type"], push["body"], push["text"]) == (1, "raw", "/w==", None)
        status, problem = await control.ask("GET", "/pushes?count=2&timeout=0.01")
        assert (status, problem["kind"]) == (504, "TimedOut")
        assert (await control.ask("GET", "/pushes?count=two"))[0] == 400
        assert (await control.ask("GET", "/pushes?timeout=301"))[0] == 400
        await control.do("DELETE", "/pushes")
        assert (await control.do("GET", "/pushes"))["count"] == 0

    async def test_faults_come_in_their_order(self, control: Control) -> None:
        """As with the fixture; what was asked, and how it was answered, is listed."""
        sender = await control.sender()
        await control.do("POST", "/fail", {"status": 503, "retry_after": 7})
        await control.do("POST", "/throttle")
        answers = [await sender.push(b"x") for _ in range(3)]
        assert [status for status, _ in answers] == [503, 406, 200]
        assert answers[0][1]["retry-after"] == "7"
        await control.do("POST", "/expire-tokens")
        assert (await sender.push(b"x"))[0] == 401
        shown = await control.do("GET", "/requests")
        assert shown["token_requests"] == 1
        assert [(each["status"], each["outcome"]) for each in shown["requests"]] == [
            (503, ""), (406, "channelthrottled"), (200, "received"), (401, "")
        ]  # fmt: skip
        assert shown["requests"][2]["id"] == answers[2][1]["x-wns-msg-id"]
        await control.do("DELETE", "/requests")
        assert await control.do("GET", "/requests") == {"token_requests": 0, "requests": []}

    async def test_tokens_are_refused(self, control: Control) -> None:
        """Until healed."""
        await control.do("POST", "/refuse-token")
        with pytest.raises(AssertionError, match="invalid_client"):
            await control.sender()
        await control.do("POST", "/heal")
        await control.sender()

    async def test_channels_end_and_begin(self, control: Control) -> None:
        """Expired, or revoked: 410 until the next."""
        sender = await control.sender()
        for path in ("/expire-channel", "/revoke-channel"):
            await control.do("POST", path)
            assert (await sender.push(b"x"))[0] == 410
            uri = (await control.do("POST", "/new-channel"))["channel_uri"]
            assert (await control.do("GET", "/"))["channel_uri"] == uri
            assert (await sender.push(b"x", uri=uri))[0] == 200
            sender = await control.sender()

    async def test_the_device_goes_and_comes(self, control: Control) -> None:
        """Offline, what is not to be kept is dropped; a channel cannot be asked for, and the sentence says how it could."""
        sender = await control.sender()
        await control.do("POST", "/offline")
        assert (await control.do("GET", "/"))["online"] is False
        assert (await sender.push(b"x"))[1]["x-wns-status"] == "dropped"
        status, problem = await control.ask("POST", "/new-channel")
        assert (status, "POST /_tocsin/online" in problem["detail"]) == (409, True)
        await control.do("POST", "/online")
        assert (await sender.push(b"x"))[1]["x-wns-status"] == "received"

    async def test_without_a_network_it_does_not_come(self, control: Control) -> None:
        """The sentence says what would help; then it does, and has one connection."""
        for _ in range(2):
            await control.do("PUT", "/host", {"conditions": ["offline"]})
            status, problem = await control.ask("POST", "/online")
            assert (status, "PUT /_tocsin/host" in problem["detail"]) == (409, True)
            await control.do("PUT", "/host")
            assert len(control.twin.faults._connected) == 1
        assert (await (await control.sender()).push(b"x"))[1]["x-wns-status"] == "received"

    async def test_the_clock_jumps(self, control: Control) -> None:
        """A token lives a day."""
        sender = await control.sender()
        before = (await control.do("GET", "/clock"))["now"]
        assert (await control.do("POST", "/clock", {"days": 1, "seconds": 1}))["now"] >= before + 86401
        assert (await sender.push(b"x"))[0] == 401

    async def test_the_machine_is_played(self, control: Control) -> None:
        """It is as the last request says, and as nothing before it."""
        sender = await control.sender()
        assert (await control.do("PUT", "/host", {"conditions": ["battery_saver"]}))["power_saver"] is True
        await sender.push(b"kept")
        assert (await control.do("GET", "/pushes"))["count"] == 0
        assert (await control.do("PUT", "/host", {"policy": {"toasts": False}}))["power_saver"] is False
        assert (await control.do("GET", "/pushes?count=1"))["pushes"][0]["text"] == "kept"
        assert (await sender.push(TOAST, X_WNS_Type="wns/toast", **XML))[1]["x-wns-status"] == "dropped"

    async def test_a_reset_leaves_nothing(self, control: Control) -> None:
        """Whatever was done: faults, machine, clock and notes are gone, the channel is the same, what was kept does not come."""
        sender = await control.sender()
        uri = (await control.do("GET", "/"))["channel_uri"]
        await control.do("POST", "/offline")
        await sender.push(b"kept", X_WNS_Cache_Policy="cache")
        for each in OPERATIONS:
            if each.method == "POST" and each.path in {"/fail", "/refuse-token", "/clock", "/expire-channel"}:
                await control.do(each.method, each.path, EXAMPLES.get(f"{each.method} {each.path}"))
        await control.do("PUT", "/host", {"conditions": ["offline"]})
        about = await control.do("POST", "/reset")
        assert (about["channel_uri"], about["online"]) == (uri, True)
        assert about["now"] == pytest.approx(time.time(), abs=60)
        sender = await control.sender()
        assert (await sender.push(b"new"))[1]["x-wns-status"] == "received"
        shown = await control.do("GET", "/pushes")
        assert [push["text"] for push in shown["pushes"]] == ["new"]
        assert [each["status"] for each in (await control.do("GET", "/requests"))["requests"]] == [200]
        await control.do("POST", "/revoke-channel")
        assert (await control.do("POST", "/reset"))["channel_uri"] != uri

    async def test_what_windows_would_not_show_is_told(
        self, control: Control, caplog: pytest.LogCaptureFixture
    ) -> None:
        """In the list and in the log; the sender is answered as WNS does."""
        sender = await control.sender()
        for body in (TOAST, b"<toast", b"<tile/>"):
            assert (await sender.push(body, X_WNS_Type="wns/toast", **XML))[1]["x-wns-status"] == "received"
        await sender.push(b"<badge value='many'/>", X_WNS_Type="wns/badge", **XML)
        warned = [each["warnings"] for each in (await control.do("GET", "/requests"))["requests"]]
        assert [len(each) for each in warned] == [0, 1, 1, 1]
        assert warned[1][0].startswith("the body is no toast that Windows shows: it is no XML")
        assert warned[3][0] in caplog.text
