"""What a hub tells of messages: every element that clients read, and nothing that they stumble over."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.hub.hub_outcomes import HubOutcome, Tally, TargetOutcome
from tocsin.protocol.hub.outcome_xml import TriedTarget, write_details, write_error, write_test_outcome

URI = "https://127.0.0.1:8443/w/?token=AwYAAA%2bk8x+Yg%3d%3d&x=1"
HEAD = '<?xml version="1.0" encoding="utf-8"?>'
SCHEMA = (
    ' xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"'
    ' xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
)
SENT = TargetOutcome(HubOutcome.SUCCESS)
OFF = TargetOutcome(HubOutcome.DROPPED, "the device is off")
POLICY = TargetOutcome(HubOutcome.DROPPED, "policy <forbids> it")


def test_an_error_says_its_code_and_its_sentence() -> None:
    """Without a namespace, as the libraries look for it."""
    assert write_error(404, "There is no hub 'a<b'.").decode() == (
        f"{HEAD}<Error><Code>404</Code><Detail>There is no hub 'a&lt;b'.</Detail></Error>"
    )


def test_a_test_tells_of_each_target() -> None:
    """All four elements of each, of which one client raises an error where one is missing; none of the targets is none of the list."""
    results = [TriedTarget(URI, "7-8", SENT), TriedTarget(URI, "", OFF)]
    handle = URI.replace("&", "&amp;")
    assert write_test_outcome(results).decode() == (
        f"{HEAD}<NotificationOutcome{SCHEMA}><Success>1</Success><Failure>1</Failure><Results>"
        f"<RegistrationResult><ApplicationPlatform>windows</ApplicationPlatform><PnsHandle>{handle}</PnsHandle>"
        "<RegistrationId>7-8</RegistrationId><Outcome>Success</Outcome></RegistrationResult>"
        f"<RegistrationResult><ApplicationPlatform>windows</ApplicationPlatform><PnsHandle>{handle}</PnsHandle>"
        "<RegistrationId/><Outcome>Dropped: the device is off</Outcome></RegistrationResult>"
        "</Results></NotificationOutcome>"
    )
    assert write_test_outcome([]).decode() == (
        f"{HEAD}<NotificationOutcome{SCHEMA}><Success>0</Success><Failure>0</Failure><Results/></NotificationOutcome>"
    )
    assert "token" not in repr(results)


def details(tally: Tally, **texts: str) -> bytes:
    """Write details of a message that has begun."""
    moments = {"EnqueueTime": 1_795_958_101.0, "StartTime": 1_795_958_101.68, "EndTime": None}
    return write_details("n-1", "https://h/hub/messages/n-1", "Processing", moments, texts, tally)


def test_details_stand_in_the_order_of_dotnet() -> None:
    """What has not come yet is left out; each outcome once, which .NET needs, with how often it had which reason."""
    tally = Tally({OFF: 2, POLICY: 3, SENT: 4})
    assert details(tally, NotificationBody="<toast/>", Tags="a && !b").decode() == (
        f"{HEAD}<NotificationDetails{SCHEMA}><NotificationId>n-1</NotificationId>"
        "<Location>https://h/hub/messages/n-1</Location><State>Processing</State>"
        "<EnqueueTime>2026-11-29T13:15:01.000Z</EnqueueTime><StartTime>2026-11-29T13:15:01.680Z</StartTime>"
        "<NotificationBody>&lt;toast/&gt;</NotificationBody><Tags>a &amp;&amp; !b</Tags>"
        "<TargetPlatforms>windows</TargetPlatforms><WnsOutcomeCounts>"
        "<Outcome><Name>Success</Name><Count>4</Count></Outcome>"
        "<Outcome><Name>Dropped</Name><Count>5</Count><Detail>3 x policy &lt;forbids&gt; it</Detail>"
        "<Detail>2 x the device is off</Detail></Outcome></WnsOutcomeCounts></NotificationDetails>"
    )


def test_details_without_an_outcome_have_no_counts() -> None:
    """An empty list of them is an error to one client."""
    xml = details(Tally(), Tags="").decode()
    assert "WnsOutcomeCounts" not in xml
    assert "Tags" not in xml


def test_details_tell_the_most_frequent_reasons() -> None:
    """However many there are."""
    tally = Tally({TargetOutcome(HubOutcome.TOO_LARGE, f"{number} bytes"): number for number in range(1, 1_001)})
    outcome = ET.fromstring(details(tally))[-1][0]  # noqa: S314  # our own
    assert [child.text for child in outcome][:3] == ["PayloadTooLarge", "500500", "1000 x 1000 bytes"]
    assert len(outcome) == 12


@given(
    st.text(max_size=30),
    st.dictionaries(st.builds(TargetOutcome, st.sampled_from(HubOutcome), st.text()), st.integers(1, 9)),
)
def test_what_is_told_is_xml_whatever_is_told_of(text: str, counts: dict[TargetOutcome, int]) -> None:
    """And its counts are those of the tally, each name once."""
    tally = Tally(counts)
    ET.fromstring(write_error(400, text))  # noqa: S314  # our own
    ET.fromstring(write_test_outcome([TriedTarget(text, text, TargetOutcome(HubOutcome.DROPPED, text))]))  # noqa: S314
    found = ET.fromstring(details(tally, NotificationBody=text))  # noqa: S314  # our own
    pairs = [(each[0].text, int(each[1].text or "")) for each in found.iter() if each.tag.endswith("}Outcome")]
    assert dict(pairs) == {name.value: tally.of(name) for name in HubOutcome if tally.of(name)}
    assert len(dict(pairs)) == len(pairs)
