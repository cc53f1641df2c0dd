"""What a request asks of a hub, as real clients write it, and what is refused with which sentence."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.hub_request import (
    MAX_TARGET,
    MAX_TOP,
    CancelScheduled,
    CreateRegistration,
    CreateRegistrationId,
    DeleteInstallation,
    DeleteRegistration,
    GetInstallation,
    GetMessage,
    GetRegistration,
    HubOperation,
    ListRegistrations,
    PatchInstallation,
    PutInstallation,
    PutRegistration,
    ScheduleMessage,
    SendBatch,
    SendMessage,
    check_right,
    etag_matches,
    read_hub_request,
    required_right,
)
from tocsin.protocol.hub.rights import Right

URI = "https://127.0.0.1:8443/w/?token=AwYAAA%2bk8x+Yg%3d%3d"
BY_CHANNEL = f"ChannelUri eq '{URI}'"
BY_ESCAPED_CHANNEL = f"ChannelUri eq '{quote(URI, safe='')}'"

SENT: dict[tuple[str, str, str], HubOperation] = {
    # npm @azure/notification-hubs
    ("POST", "/hub/registrationIDs", "api-version=2020-06"): CreateRegistrationId(),
    ("POST", "/hub/registrations", "api-version=2020-06"): CreateRegistration(),
    ("PUT", "/hub/registrations/7-8-9", "api-version=2020-06"): PutRegistration("7-8-9"),
    ("GET", "/hub/registrations/7-8-9", "api-version=2020-06"): GetRegistration("7-8-9"),
    ("DELETE", "/hub/registrations/7-8-9", "api-version=2020-06"): DeleteRegistration("7-8-9"),
    ("GET", "/hub/registrations", "api-version=2020-06"): ListRegistrations(),
    ("GET", "/hub/registrations", "api-version=2020-06&%24top=2&continuationtoken=a%2Fb"): ListRegistrations(
        top=2, after="a/b"
    ),
    ("GET", "/hub/tags/a:b/registrations", "api-version=2020-06&%24top=100"): ListRegistrations(tag="a:b", top=100),
    ("GET", "/hub/tags/$InstallationId:%7Ba=b%7D/registrations", ""): ListRegistrations(tag="$InstallationId:{a=b}"),
    (
        "GET",
        "/hub/registrations",
        f"api-version=2020-06&%24filter={quote_plus(BY_ESCAPED_CHANNEL)}",
    ): ListRegistrations(URI),
    ("PUT", "/hub/installations/i-1", "api-version=2020-06"): PutInstallation("i-1"),
    ("GET", "/hub/installations/i-1", "api-version=2020-06"): GetInstallation("i-1"),
    ("PATCH", "/hub/installations/i-1", "api-version=2020-06"): PatchInstallation("i-1"),
    ("DELETE", "/hub/installations/i-1", "api-version=2020-06"): DeleteInstallation("i-1"),
    ("POST", "/hub/messages/", "api-version=2020-06"): SendMessage(),
    ("POST", "/hub/messages/", "api-version=2020-06&test=true"): SendMessage(test=True),
    ("POST", "/hub/messages/", "api-version=2020-06&direct=true"): SendMessage(direct=True),
    ("POST", "/hub/messages/$batch", "api-version=2020-06&direct=true"): SendBatch(),
    ("GET", "/hub/messages/n-1", "api-version=2020-06"): GetMessage("n-1"),
    ("POST", "/hub/schedulednotifications/", "api-version=2020-06"): ScheduleMessage(),
    ("DELETE", "/hub/schedulednotifications/n-1", "api-version=2020-06"): CancelScheduled("n-1"),
    # npm azure-sb
    ("POST", "/hub/Messages", "api-version=2013-10"): SendMessage(),
    ("GET", "/hub/registrations/", f"$filter={quote(BY_CHANNEL)}&$top=3"): ListRegistrations(URI, top=3),
    # PyPI notificationhubs-rest-python
    ("POST", "/hub/messages/", "direct&api-version=2015-04"): SendMessage(direct=True),
    ("POST", "/hub/messages/", "api-version=2015-04&test"): SendMessage(test=True),
    ("POST", "/hub/schedulednotifications/", "api-version=2015-04"): ScheduleMessage(),
    # PyPI azure-notification-hub-unofficial
    ("POST", "/hub/messages", "api-version=2020-06"): SendMessage(),
    ("GET", "/hub/registrations", "api-version=2020-06&$top=100"): ListRegistrations(top=100),
    # .NET, Java and a hand
    ("POST", "/hub/messages", "api-version=2020-06&test&direct"): SendMessage(direct=True, test=True),
    ("GET", "/hub/registrations", f"api-version=2020-06&test&$filter={quote_plus(BY_CHANNEL)}"): (
        ListRegistrations(URI)
    ),
    ("GET", "/HUB/Tags/A/Registrations/", "$TOP=5"): ListRegistrations(tag="A", top=5),
    ("GET", "/hub/registrations", f"$filter=channeluri EQ '{quote(URI, safe='+')}'"): ListRegistrations(URI),
    ("GET", "/hub/registrations", "$filter=ChannelUri%20eq%20'http://h/a''b'"): ListRegistrations("http://h/a'b"),
    ("GET", "/hub/registrations", f"$top={10**8}"): ListRegistrations(top=MAX_TOP),
    ("GET", "/hub/registrations", "x-ms-continuationtoken=9"): ListRegistrations(after="9"),
    ("POST", "/hub/messages", "direct=false&test=0"): SendMessage(),
    ("GET", "/hub/installations/a%2Fb%20c", ""): GetInstallation("a/b c"),
}


@pytest.mark.parametrize(("sent", "operation"), SENT.items())
def test_what_clients_send_is_read(sent: tuple[str, str, str], operation: HubOperation) -> None:
    """Whichever way they write it."""
    request = read_hub_request(*sent)
    assert (request.hub.lower(), request.operation) == ("hub", operation)


def test_a_list_goes_on_where_the_header_says_if_the_query_does_not() -> None:
    """The query wins, since it is what the client chose last."""
    assert read_hub_request("GET", "/h/registrations", "", "t").operation == ListRegistrations(after="t")
    assert read_hub_request("GET", "/h/tags/a/registrations", "continuationtoken=", "t").operation == (
        ListRegistrations(tag="a", after="t")
    )
    assert read_hub_request("GET", "/h/registrations", "ContinuationToken=q", "t").operation == (
        ListRegistrations(after="q")
    )


REFUSED = {
    ("GET", "/", ""): (404, "The path names no hub"),
    ("GET", "/h", ""): (501, "use the command tocsin hub"),
    ("GET", "/h/FeedbackContainer", ""): (501, "There is no feedback container"),
    ("POST", "/h/jobs", ""): (501, "There are no jobs"),
    ("GET", "/h/jobs/4/", ""): (501, "There are no jobs"),
    ("GET", "/h/nothing", ""): (404, "A hub has no 'nothing': it has registrations, registrationids"),
    ("GET", "/h/registrations/1/2", ""): (404, "A hub has no 'registrations/1/2'"),
    ("GET", "/h/tags/a", ""): (404, "A hub has no 'tags/a'"),
    ("GET", "/h/installations", ""): (404, "A hub has no 'installations'"),
    ("PATCH", "/h/registrations", ""): (405, "registrations takes GET and POST, not 'PATCH'"),
    ("DELETE", "/h/registrations/", ""): (405, "registrations takes GET and POST, not 'DELETE'"),
    ("POST", "/h/registrations/1", ""): (405, "registrations/{id} takes DELETE and GET and PUT"),
    ("POST", "/h/installations/1", ""): (405, "installations/{id} takes DELETE and GET and PATCH and PUT"),
    ("POST", "/h/tags/a/registrations", ""): (405, "tags/{tag}/registrations takes GET"),
    ("GET", "/h/messages", ""): (405, "messages takes POST"),
    ("GET", "/h/messages/$batch", ""): (405, "messages/$batch takes POST"),
    ("GET", "/h/registrationids", ""): (405, "registrationids takes POST"),
    ("GET", "/h/schedulednotifications/4", ""): (405, "schedulednotifications/{id} takes DELETE"),
    ("GET", "/h/registrations", "$top=0"): (400, "$top is a whole number from 1 to 999999999, not '0'"),
    ("GET", "/h/registrations", "$top=-1"): (400, "$top is a whole number"),
    ("GET", "/h/registrations", "$top=٣"): (400, "$top is a whole number"),
    ("GET", "/h/registrations", "$top=" + "9" * 5000): (400, "$top is a whole number"),
    ("GET", "/h/registrations", "$top="): (400, "$top is a whole number"),
    ("GET", "/h/registrations", "$skip=3"): (400, "$skip is not taken"),
    ("GET", "/h/registrations", "$filter=DeviceToken eq 'A'"): (400, "$filter is ChannelUri eq '...'"),
    ("GET", "/h/registrations", "$filter=ChannelUri eq https://a/"): (400, "$filter is ChannelUri eq '...'"),
    ("GET", "/h/registrations", "$filter=ChannelUri eq ''"): (400, "The ChannelUri in $filter is the URI of a channel"),
    ("GET", "/h/registrations", "$filter=ChannelUri eq 'ftp://a/'"): (400, "The ChannelUri in $filter is"),
    ("GET", "/h/registrations", "$filter=ChannelUri eq 'https://[/'"): (400, "The ChannelUri in $filter is"),
    ("GET", "/h/registrations", f"$filter=ChannelUri eq 'https://a/{'x' * 3000}'"): (400, "3010 characters"),
    ("GET", "/h/registrations", "$filter=ChannelUri eq '%25FF'"): (400, "is UTF-8"),
    ("GET", "/h/tags/a/registrations", "$filter=ChannelUri eq 'https://a/'"): (400, "not taken together with a tag"),
    ("GET", "/h/registrations", "a=%FF"): (400, "The query is not UTF-8"),
    ("GET", "/h/registrations", "a&" * 40): (400, "more than 32 fields"),
    ("GET", "/h/registrations", "a" * MAX_TARGET): (400, f"more than {MAX_TARGET} characters"),
    ("GET", "/h/registrations/%FF", ""): (400, "is UTF-8"),
    ("GET", "/h/registrations/%00", ""): (400, "printable characters, not '\\x00'"),
    ("GET", f"/h/registrations/{'1' * 300}", ""): (400, "up to 256 printable characters"),
    ("POST", "/h/messages", "direct=maybe"): (400, "direct is true, or stands without a value, not 'maybe'"),
    ("POST", "/h/messages", "test=2"): (400, "test is true, or stands without a value, not '2'"),
}


@pytest.mark.parametrize("sent", REFUSED)
def test_what_cannot_be_asked_is_refused_in_words(sent: tuple[str, str, str]) -> None:
    """With the status that says whose turn it is, and what would be right."""
    status, words = REFUSED[sent]
    with pytest.raises(HubRefused) as refused:
        read_hub_request(*sent)
    assert refused.value.status == status
    assert words in refused.value.detail
    assert len(refused.value.detail) < 300


@given(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "BREW"]), st.text(max_size=60), st.text(max_size=60))
def test_whatever_comes_is_read_or_refused(method: str, path: str, query: str) -> None:
    """By no other error."""
    for rest in (path, f"registrations/{path}", f"tags/{path}/registrations"):
        try:
            hub, status = read_hub_request(method, f"/h/{rest}", f"{query}&$filter={query}").hub, 200
        except HubRefused as refused:
            hub, status = "h", refused.status
        assert hub == "h"
        assert status in {200, 400, 404, 405, 501}


@given(st.from_regex(r"https://[a-z]{1,9}/[!-~]{0,40}", fullmatch=True))
def test_a_channel_is_found_by_its_uri_byte_by_byte(uri: str) -> None:
    """Whether the client escaped it once or twice."""
    for inside in (uri.replace("'", "''"), quote(uri, safe="")):
        sent = "$filter=" + quote(f"ChannelUri eq '{inside}'")
        assert read_hub_request("GET", "/h/registrations", sent).operation == ListRegistrations(uri)


RIGHTS: dict[Right, list[HubOperation]] = {
    Right.LISTEN: [
        CreateRegistration(),
        CreateRegistrationId(),
        PutRegistration("1"),
        GetRegistration("1"),
        DeleteRegistration("1"),
        ListRegistrations(URI),
        PutInstallation("1"),
        GetInstallation("1"),
        PatchInstallation("1"),
        DeleteInstallation("1"),
    ],
    Right.SEND: [
        SendMessage(),
        SendMessage(direct=True),
        SendBatch(),
        GetMessage("1"),
        ScheduleMessage(),
        CancelScheduled("1"),
    ],
    Right.MANAGE: [ListRegistrations(), ListRegistrations(tag="a")],
}


@pytest.mark.parametrize(
    ("right", "operation"), [(right, each) for right, operations in RIGHTS.items() for each in operations]
)
def test_each_operation_needs_its_right(right: Right, operation: HubOperation) -> None:
    """And is refused with 403 to each key that does not allow it; the key to manage allows all."""
    assert required_right(operation) is right
    for key in Right:
        if key in {right, Right.MANAGE}:
            check_right(operation, key)
        else:
            with pytest.raises(HubRefused, match=f"The key allows {key}, and this needs {right}") as refused:
                check_right(operation, key)
            assert refused.value.status == 403


def test_if_match_is_read_as_clients_write_it() -> None:
    """With or without the mark of a weak one, and with or without quotes."""
    for text in ("*", '"3"', 'W/"3"', "3", " 3 "):
        assert etag_matches(text, 3)
    for text in ("", '"4"', "W/", "x", "33", "9" * 30, "٣"):
        assert not etag_matches(text, 3)


def test_a_channel_is_not_shown() -> None:
    """What is sent to it arrives."""
    assert "token" not in repr(ListRegistrations(URI))
