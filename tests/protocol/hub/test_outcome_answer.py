"""What a hub answers of a message is read as it was written, and nothing else is taken for it."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.hub.hub_outcomes import HubOutcome, Tally, TargetOutcome
from tocsin.protocol.hub.message_life import ENDED, Phase, state_of
from tocsin.protocol.hub.outcome_answer import MessageStanding, read_outcome_answer
from tocsin.protocol.hub.outcome_xml import write_details, write_error
from tocsin.protocol.xml_tree import MAX_BYTES

AZURE = (
    '<NotificationDetails xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"'
    ' xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><NotificationId>1-2</NotificationId><State>{}</State>'
    "<TargetPlatforms>windows</TargetPlatforms>{}<GcmOutcomeCounts><Outcome><Name>Success</Name><Count>9</Count>"
    "</Outcome></GcmOutcomeCounts></NotificationDetails>"
)


@given(
    st.sampled_from(Phase),
    st.dictionaries(st.builds(TargetOutcome, st.sampled_from(HubOutcome), st.text()), st.integers(1, 9_999_999)),
    st.text(max_size=100),
)
def test_what_is_written_is_read(phase: Phase, counts: dict[TargetOutcome, int], text: str) -> None:
    """Whatever reasons stand beside the counts, and whatever the message was."""
    tally = Tally(counts)
    moments = {"EnqueueTime": 1_795_958_101.0, "StartTime": None}
    xml = write_details(
        "n-1", "https://h/hub/messages/n-1", state_of(phase), moments, {"NotificationBody": text}, tally
    )
    standing = read_outcome_answer(xml)
    assert standing == MessageStanding(
        state_of(phase), {name.value: tally.of(name) for name in HubOutcome if tally.of(name)}
    )
    assert standing.ended is (phase in ENDED)


@given(st.binary(max_size=200) | st.text(max_size=60).map(lambda text: AZURE.format(text, "").encode()))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    """By one error."""
    with suppress(ProtocolViolation):
        assert read_outcome_answer(body).counts == {}


def test_words_of_another_hub_are_kept() -> None:
    """Its outcomes and states are more than ours; those of other platforms are not of interest, and 0 is none."""
    more = "".join(
        f"<Outcome><Name>{name}</Name><Count>{count}</Count></Outcome>"
        for name, count in [("Throttled", 1), ("Success", 0), ("Throttled", 2)]
    )
    counts = f"<WnsOutcomeCounts>{more}</WnsOutcomeCounts>"
    standing = read_outcome_answer(AZURE.format("DetailedStateAvailable", counts).encode())
    assert (standing, standing.ended) == (MessageStanding("DetailedStateAvailable", {"Throttled": 3}), False)
    assert read_outcome_answer(AZURE.format("Completed", "").encode()).ended


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "it is empty"),
        (write_error(404, "no"), "no NotificationDetails, but 'Error'"),
        (AZURE.format("", "").encode(), "has no State of 1 to 64"),
        (AZURE.format("x" * 65, "").encode(), "has no State of 1 to 64"),
        (AZURE.format("a\nb", "").encode(), "has no State of 1 to 64"),
        (AZURE.format("Completed", "x" * MAX_BYTES).encode(), "65536 are read at most"),
        *(
            (AZURE.format("Completed", f"<WnsOutcomeCounts>{outcome}</WnsOutcomeCounts>").encode(), words)
            for outcome, words in [
                ("<Outcome><Count>1</Count></Outcome>", "has no Name"),
                ("<Outcome><Name>Success</Name></Outcome>", "has no Count"),
                ("<Outcome><Name>Success</Name><Count>-1</Count></Outcome>", "counts '-1' of the outcome Success"),
                (f"<Outcome><Name>Success</Name><Count>{'9' * 10}</Count></Outcome>", "which is no number"),
                ("<Outcome><Name>Success</Name><Count>٣</Count></Outcome>", "which is no number"),
            ]
        ),
    ],
)
def test_what_is_none_is_refused(body: bytes, words: str) -> None:
    """With what is wrong about it."""
    with pytest.raises(ProtocolViolation, match=words):
        read_outcome_answer(body)
