"""The builder of toasts: its limits, each in a sentence, and that what was built is read as it was meant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import IllegalCall, InvalidArgument, PushError
from tocsin.protocol.messages import ToastActivationType
from tocsin.protocol.toasts.read_toast import read_toast
from tocsin.protocol.toasts.toast_builder import ToastContentBuilder as Builder
from tocsin.protocol.toasts.toast_button import ToastButton as Button
from tocsin.protocol.toasts.toast_content import SystemAction, ToastDuration, ToastImage, ToastScenario

Do = Callable[[Builder], Any]


def titled() -> Builder:
    """Begin with what each toast needs."""
    return Builder().add_text("Title", max_lines=1)


def times(count: int, do: Callable[[Builder, int], Any]) -> Do:
    """Do something so many times."""

    def several(builder: Builder) -> None:
        for number in range(count):
            do(builder, number)

    return several


def test_a_call_is_written_as_the_toolkit_does() -> None:
    """Own arguments before those of the toast, children in their order."""
    builder = (
        Builder()
        .set_toast_scenario("incomingCall")
        .add_argument("callId", 7)
        .add_text("Ann is calling", center_in_call=True)
        .add_app_logo_override("file:///ann.png", circle=True)
        .add_button(Button("Decline").add_argument("action", "decline").set_style("Critical"))
        .add_button(Button("Accept").add_argument("action", "accept").set_style("Success"))
        .add_audio("ms-winsoundevent:Notification.Looping.Call", loop=True)
    )
    assert builder.get_xml() == (
        '<toast launch="callId=7" scenario="incomingCall" useButtonStyle="true"><visual><binding template="ToastGeneric">'
        '<text hint-callScenarioCenterAlign="true">Ann is calling</text>'
        '<image placement="appLogoOverride" hint-crop="circle" src="file:///ann.png"/></binding></visual>'
        '<audio src="ms-winsoundevent:Notification.Looping.Call" loop="true"/><actions>'
        '<action content="Decline" arguments="action=decline;callId=7" hint-buttonStyle="Critical"/>'
        '<action content="Accept" arguments="action=accept;callId=7" hint-buttonStyle="Success"/></actions></toast>'
    )


def test_a_button_has_a_place_and_a_picture() -> None:
    """Beside an input, or in the menu only."""
    builder = (
        Builder()
        .add_text("Ann")
        .add_button(Button("Send", "send").set_text_box_id("reply").set_image_uri("send.png"))
        .add_button(Button("Mute", "mute").set_in_menu())
    )
    send, mute = builder.get_content().actions
    assert (send.input_id, send.in_menu, mute.input_id, mute.in_menu) == ("reply", False, "", True)
    assert 'imageUri="send.png"' in builder.get_xml()


def test_everything_that_can_be_built_is_read() -> None:
    """Each part of a toast has its place in what is read of it."""
    builder = (
        Builder()
        .add_text("Title")
        .add_text("Body")
        .add_attribution_text("by mail")
        .add_hero_image("hero.png", alternative="a hill")
        .add_inline_image("inline.png")
        .add_progress_bar("Copying", 0.25, value_text="1 of 4", status="going on")
        .add_progress_bar("Waiting", "{left}", status="{how}")
        .add_progress_bar("Who knows")
        .add_header("h", "Header", "a=1")
        .add_custom_time_stamp(datetime(2026, 11, 29, 7, tzinfo=UTC))
        .add_audio(silent=True)
        .set_toast_duration(ToastDuration.LONG)
        .add_argument("toast", 1)
        .add_input_text_box("reply", "Type", "Reply", "hi")
        .add_combo_box("when", {"5": "5 minutes", "60": "an hour"}, title="When", default="60")
        .add_button("Plain", {"b": 1})
        .add_button("Behind", {"b": 2}, ToastActivationType.BACKGROUND)
        .add_button(Button("Web").set_protocol_activation("https://example.org/?a=1&b=2"))
        .add_button(Button().set_dismiss_activation())
        .add_button(Button("Later").set_snooze_activation("when"))
    )
    content = builder.get_content()
    assert content.texts == ("Title", "Body")
    assert (content.attribution, content.duration, content.display_timestamp) == (
        "by mail",
        ToastDuration.LONG,
        "2026-11-29T07:00:00+00:00",
    )
    assert content.images == (ToastImage("hero.png", "a hill", "hero"), ToastImage("inline.png"))
    assert [(bar.value, bar.value_text, bar.status) for bar in content.progress] == [
        ("0.25", "1 of 4", "going on"),
        ("{left}", "", "{how}"),
        ("indeterminate", "", ""),
    ]
    assert content.header is not None
    assert (content.header.title, content.header.arguments) == ("Header", "a=1")
    assert content.audio is not None
    assert content.audio.silent
    text, choice = content.inputs
    assert (text.id, text.title, text.placeholder, text.default, text.choices) == ("reply", "Reply", "Type", "hi", ())
    assert (choice.default, choice.choices) == ("60", (("5", "5 minutes"), ("60", "an hour")))
    assert [(each.arguments, each.activation, each.system) for each in content.actions] == [
        ("b=1;toast=1", ToastActivationType.FOREGROUND, None),
        ("b=2;toast=1", ToastActivationType.BACKGROUND, None),
        ("https://example.org/?a=1&b=2", ToastActivationType.PROTOCOL, None),
        ("dismiss", ToastActivationType.FOREGROUND, SystemAction.DISMISS),
        ("snooze", ToastActivationType.FOREGROUND, SystemAction.SNOOZE),
    ]


LIMITS: dict[str, tuple[Do, str]] = {
    "six buttons": (times(6, lambda b, n: b.add_button(f"b{n}")), "a toast has 5 buttons at most"),
    "six inputs": (times(6, lambda b, n: b.add_input_text_box(f"i{n}")), "a toast has 5 inputs at most"),
    "five lines": (times(4, lambda b, n: b.add_text(f"t{n}")), "a toast has 4 lines of text at most"),
    "a long text too many": (lambda b: b.add_text("a", max_lines=2).add_text("b", max_lines=2), "4 lines of text"),
    "three lines of a text": (lambda b: b.add_text("a", max_lines=3), "max_lines must be from 1 to 2, not 3"),
    "an empty text": (lambda b: b.add_text(""), "a text must not be empty"),
    "a text of bytes": (lambda b: b.add_text(cast("Any", b"a")), "a text must be text, not bytes"),
    "a control character": (lambda b: b.add_text("a\x1b"), "cannot hold the character"),
    "a link with a control character": (
        lambda b: b.set_protocol_activation("x:\x00"),
        "a toast cannot hold the character",
    ),
    "an argument with a control character": (lambda b: b.add_argument("a", "\x01"), "a toast cannot hold"),
    "a button with one": (lambda b: b.add_button("b", {"a": "\x01"}), "a button cannot hold the character"),
    "half a character": (lambda b: b.add_text("\ud800"), "text that UTF-8 can express"),
    "too much progress": (lambda b: b.add_progress_bar("a", 1.5), "a progress is from 0 to 1, not 1.5"),
    "no progress at all": (lambda b: b.add_progress_bar("a", float("nan")), "a progress is from 0 to 1"),
    "no choice": (lambda b: b.add_combo_box("a", {}), "1 to 5 choices, not 0"),
    "six choices": (lambda b: b.add_combo_box("a", dict.fromkeys("abcdef", "x")), "1 to 5 choices, not 6"),
    "a default that is none": (lambda b: b.add_combo_box("a", {"b": "c"}, default="x"), "none of the choices: 'x'"),
    "an input twice": (lambda b: b.add_input_text_box("a").add_input_text_box("a"), "there is an input 'a' already"),
    "a button without a text": (lambda b: b.add_button(Button()), "a button needs a text, unless"),
    "a button with other arguments": (lambda b: b.add_button(Button("a"), {"x": 1}), "has its own arguments"),
    "a style that there is not": (lambda b: b.add_button(Button("a").set_style("Red")), "one of Success, Critical"),
    "a sound of the web": (lambda b: b.add_audio("https://example.org/a.wav"), "a sound begins with ms-appx:, file:"),
    "a scenario that there is not": (lambda b: b.set_toast_scenario("party"), "a scenario is one of default, reminder"),
    "a duration that there is not": (lambda b: b.set_toast_duration("ever"), "a duration is one of short, long"),
    "a time without a zone": (lambda b: b.add_custom_time_stamp(datetime(2026, 1, 1)), "needs a time zone"),  # noqa: DTZ001  # as it says
    "a header without an id": (lambda b: b.add_header("", "a"), "the id of a header must not be empty"),
    "a picture without a source": (lambda b: b.add_inline_image(""), "the source of a picture must not be empty"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_each_limit_is_told_and_changes_nothing(limit: str) -> None:
    """The toast is as it was before the call that was refused."""
    do, words = LIMITS[limit]
    builder = titled()
    with pytest.raises(InvalidArgument, match=words):
        do(builder)
    left = builder.get_content()
    assert len(left.actions) <= 5
    assert len(left.inputs) <= 5
    assert read_toast(builder.get_xml().encode()) == left


ILLEGAL: dict[str, Do] = {
    "arguments behind a link": lambda b: b.set_protocol_activation("x:").add_argument("a", 1),
    "a link behind arguments": lambda b: b.add_argument("a", 1).set_protocol_activation("x:"),
    "arguments of a button that opens a link": lambda _: Button("a").set_protocol_activation("x:").add_argument("a"),
    "a link of a button with arguments": lambda _: Button("a").add_argument("a").set_protocol_activation("x:"),
    "arguments of a button that dismisses": lambda _: Button().set_dismiss_activation().add_argument("a"),
    "arguments of a button with a text of its own": lambda _: Button("a", "raw").add_argument("a"),
    "snooze with arguments": lambda _: Button("a").add_argument("a").set_snooze_activation(),
}


@pytest.mark.parametrize("call", ILLEGAL)
def test_what_excludes_each_other_is_told(call: str) -> None:
    """A text of one's own and arguments by name cannot be had together."""
    with pytest.raises(IllegalCall):
        ILLEGAL[call](titled())


def test_a_toast_needs_something_to_show_and_may_not_be_too_long() -> None:
    """5,120 characters as XML, as Windows has it."""
    with pytest.raises(InvalidArgument, match="a toast needs something to show"):
        Builder().get_xml()
    long = titled().add_text("x" * 4990)
    assert len(long.get_xml()) <= 5120
    with pytest.raises(InvalidArgument, match=r"has 5\d+ characters as XML; 5120 are the most"):
        titled().add_text("&" * 1100).get_xml()


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(
    lambda t: t.strip() == t
)


@given(
    st.lists(TEXTS, min_size=1, max_size=3),
    st.lists(st.tuples(TEXTS, TEXTS), max_size=5),
    st.sampled_from(ToastScenario),
)
def test_what_was_built_is_read(texts: list[str], buttons: list[tuple[str, str]], scenario: ToastScenario) -> None:
    """Whatever the texts are."""
    builder = Builder().set_toast_scenario(scenario)
    for text in texts:
        builder.add_text(text, max_lines=1)
    for label, value in buttons:
        builder.add_button(Button(label).add_argument("v", value))
    try:
        xml = builder.get_xml()
    except PushError:
        assert any(not text.isprintable() for text in [*texts, *(each for pair in buttons for each in pair)])
        return
    content = read_toast(xml.encode())
    assert content == builder.get_content()
    assert content.texts == tuple(texts)
    assert [action.content for action in content.actions] == [label for label, _ in buttons]
    assert content.scenario is scenario
