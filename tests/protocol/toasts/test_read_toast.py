"""Toasts of all senders: generic and legacy, and what a desktop is asked to show of them."""

from __future__ import annotations

import pytest

from tocsin.protocol.errors import UnreadableContent
from tocsin.protocol.messages import ToastActivationType
from tocsin.protocol.toasts.popup import PopupButton, PopupInput
from tocsin.protocol.toasts.read_toast import read_toast
from tocsin.protocol.toasts.render_popup import MAX_BODY, MAX_TITLE, ToastClick, action_of, inputs_of, popup_of
from tocsin.protocol.toasts.toast_content import SystemAction, ToastContent, ToastScenario


def toast(
    inside: str = "<text>Title</text>", *, attributes: str = "", behind: str = "", template: str = "ToastGeneric"
) -> ToastContent:
    """Read a toast with this in its binding, and that behind its visual."""
    binding = f'<binding template="{template}">{inside}</binding>'
    return read_toast(f"<toast{attributes}><visual>{binding}</visual>{behind}</toast>".encode())


@pytest.mark.parametrize(
    ("template", "texts"),
    [
        ("ToastText01", ("one",)),
        ("ToastText02", ("one", "two")),
        ("ToastText03", ("one", "two")),
        ("ToastText04", ("one", "two", "three")),
        ("ToastImageAndText01", ("one",)),
        ("ToastImageAndText02", ("one", "two")),
        ("ToastImageAndText03", ("one", "two")),
        ("ToastImageAndText04", ("one", "two", "three")),
    ],
)
def test_the_legacy_templates_have_their_texts_by_number(template: str, texts: tuple[str, ...]) -> None:
    """In whatever order they are written; what the template has no place for is not shown."""
    inside = '<text id="3">three</text><text id="1">one</text><image id="1" src="a.png"/><text id="2">two</text>'
    content = toast(inside, template=template)
    assert content.texts == texts
    assert [image.source for image in content.images] == ["a.png"]
    popup = popup_of("mail", content, {})
    assert (popup.title, popup.body) == (texts[0], "\n".join(texts[1:]))


def test_the_generic_binding_is_chosen() -> None:
    """And of others the first; an unknown template shows its texts."""
    other = '<binding template="ToastText01"><text id="1">old</text></binding>'
    new = '<binding template="ToastGeneric"><text>new</text><group><subgroup><text>deep</text></subgroup></group></binding>'
    assert read_toast(f"<toast><visual>{other}{new}</visual></toast>".encode()).texts == ("new", "deep")
    assert read_toast(f"<toast><visual>{other}</visual></toast>".encode()).texts == ("old",)
    assert toast(template="ToastOfTomorrow").texts == ("Title",)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "it is empty"),
        (b"Hello", "it is no XML"),
        (b"<tile/>", "a toast begins with <toast>, not with <tile>"),
        (b"<toast/>", "a toast without <visual> has nothing to show"),
        (b"<toast><visual/></toast>", "a toast without <binding> in its <visual> has nothing to show"),
    ],
)
def test_what_is_no_toast_is_refused(body: bytes, words: str) -> None:
    """In a sentence."""
    with pytest.raises(UnreadableContent, match=words):
        read_toast(body)


def test_what_is_not_understood_is_passed_over() -> None:
    """A scenario of tomorrow, an unknown action, an attribute that is no number: the rest is shown, and the tree has all of it."""
    content = toast(
        attributes=' scenario="party" duration="ever" activationType="telepathy" new="1"',
        behind='<actions><new/><action content="a" arguments="x" activationType="telepathy"/></actions><more/>',
    )
    assert (content.scenario, content.activation) == (ToastScenario.DEFAULT, ToastActivationType.FOREGROUND)
    assert [action.activation for action in content.actions] == [ToastActivationType.FOREGROUND]
    assert content.tree.get("new") == "1"
    assert content.tree.first("more") is not None


@pytest.mark.parametrize(
    ("attributes", "audio", "urgent", "seconds", "sound", "loop", "silent"),
    [
        ("", "", False, 7.0, "", False, False),
        (' duration="long"', "", False, 25.0, "", False, False),
        (' scenario="reminder"', "", False, 0.0, "", False, False),
        (' scenario="alarm"', "", True, 0.0, "alarm-clock-elapsed", True, False),
        (' scenario="urgent"', "", True, 0.0, "", False, False),
        (' scenario="incomingCall"', "", True, 120.0, "phone-incoming-call", True, False),
        (' scenario="incomingCall"', '<audio silent="true"/>', True, 120.0, "phone-incoming-call", False, True),
        ("", '<audio src="ms-winsoundevent:Notification.IM"/>', False, 7.0, "message-new-instant", False, False),
        (
            "",
            '<audio src="ms-winsoundevent:Notification.Looping.Call3" loop="true"/>',
            False,
            7.0,
            "phone-incoming-call",
            True,
            False,
        ),
        ("", '<audio src="http://127.0.0.1:1/a.wav"/>', False, 7.0, "", False, False),
    ],
)
def test_what_it_is_about_decides_how_long_it_stays(  # noqa: PLR0917  # a case
    attributes: str, audio: str, urgent: bool, seconds: float, sound: str, loop: bool, silent: bool
) -> None:
    """And what is heard."""
    popup = popup_of("mail", toast(attributes=attributes, behind=audio), {})
    assert (popup.urgent, popup.seconds, popup.sound, popup.loop, popup.silent) == (
        urgent,
        seconds,
        sound,
        loop,
        silent,
    )


def test_buttons_and_inputs_are_shown_as_far_as_a_desktop_knows_them() -> None:
    """Not those of the menu, nor one that snoozes; each by its place, which comes back with a click."""
    content = toast(
        attributes=' launch="open"',
        behind='<actions><input id="r" type="text" placeHolderContent="Type" title="Reply" defaultInput="hi"/>'
        '<input id="s" type="selection" defaultInput="x"><selection id="a" content="A"/><selection id="b" content="B"/></input>'
        '<action content="Yes" arguments="y"/><action content="Menu" arguments="m" placement="contextMenu"/>'
        '<action activationType="system" arguments="snooze" content="Later"/>'
        '<action activationType="system" arguments="dismiss" content=""/>'
        '<action content="Web" arguments="https://example.org/" activationType="protocol"/>'
        '<action content="Six" arguments="six"/></actions>',
    )
    popup = popup_of("mail", content, {})
    assert popup.buttons == (PopupButton("0", "Yes"), PopupButton("3", "Dismiss"), PopupButton("4", "Web"))
    assert popup.inputs == (
        PopupInput("r", "Reply", "Type", "hi"),
        PopupInput("s", "", "", "a", (("a", "A"), ("b", "B"))),
    )
    foreground = ToastActivationType.FOREGROUND
    assert action_of(content, "default") == ToastClick(foreground, "open")
    assert action_of(content, "0") == ToastClick(foreground, "y")
    assert action_of(content, "3") == ToastClick(foreground, "dismiss", SystemAction.DISMISS)
    assert action_of(content, "4") == ToastClick(ToastActivationType.PROTOCOL, "https://example.org/")
    assert action_of(content, "99") == action_of(content, "-1") == action_of(content, "default")
    assert inputs_of(content, (("s", "b"), ("strange", "x"))) == (("r", "hi"), ("s", "b"))


def test_values_are_bound_and_progress_is_said() -> None:
    """In words too, for a desktop that draws no bar; where nothing is bound, braces are text."""
    inside = '<text>{what} of {who}</text><progress title="{t}" value="{v}" valueStringOverride="{o}" status="{s}"/>'
    content = toast(inside)
    popup = popup_of("mail", content, {"what": "Song", "v": "0.4", "s": "Loading"})
    assert (popup.title, popup.body, popup.progress) == ("Song of", "Loading 40%", 0.4)
    popup = popup_of("mail", content, {"what": "Song", "v": "2", "o": "all", "t": "Album"})
    assert (popup.body, popup.progress) == ("Album\nall", 1.0)
    assert popup_of("mail", content, {"what": "x", "v": "indeterminate"}).progress is None
    assert popup_of("mail", content, {"what": "x", "v": "1e-05"}).progress == 1e-05
    assert popup_of("mail", toast("<text>a {b}</text>"), {}).title == "a {b}"


def test_no_text_can_imitate_more_than_a_text() -> None:
    """Control characters and marks of direction go, lengths are bounded, and markup stays text; pictures of emoji hold together."""
    hostile = "Bank\u202e\u2066&#9;of\u200b &lt;b&gt;x&lt;/b&gt; 👩\u200d💻"
    popup = popup_of("mail\x1b[2J\n", toast(f"<text>{hostile}</text><text>{'y' * 5000}</text>"), {})
    assert popup.title == "Bankof <b>x</b> 👩\u200d💻"
    assert popup.app.isprintable()
    assert len(popup.body) == MAX_BODY
    assert popup.body.endswith("…")
    assert len(popup_of("mail", toast(f"<text>{'z' * 900}</text>"), {}).title) == MAX_TITLE


def test_without_any_text_the_app_is_named() -> None:
    """A popup has a title."""
    popup = popup_of("contoso.mail", toast("<text/><image src='a.png'/>"), {})
    assert (popup.title, popup.body, popup.image) == ("contoso.mail", "", "")


def test_a_picture_is_shown_where_the_policy_says_so() -> None:
    """The logo before others; by default none, whatever its source."""
    content = toast('<text>t</text><image src="a"/><image placement="appLogoOverride" src="b"/>')
    assert popup_of("mail", content, {}).image == ""
    assert popup_of("mail", content, {}, lambda source: f"/safe/{source}").image == "/safe/b"
    assert popup_of("mail", content, {}, lambda source: "/safe" if source == "a" else "").image == "/safe"


def test_attribution_stands_last() -> None:
    """It is no line of the texts."""
    popup = popup_of("mail", toast('<text>t</text><text placement="attribution">by mail</text><text>b</text>'), {})
    assert popup.body == "b\nby mail"
