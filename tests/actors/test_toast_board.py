"""The toasts of the shell: what is on the screen, for how long, and what daemons do to it."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
import trio.testing
from attrs import evolve

from tests.actors.shelling import PlayedDesktop, outcome, shelling, shown, toast_xml
from tocsin.protocol import messages as m
from tocsin.protocol.toasts.popup import Handle
from tocsin.protocol.toasts.toast_life import ON_SCREEN_AT_ONCE
from tocsin.protocol.values import DropReason, Outcome
from tocsin.shell.desktop import Closed, ClosedBy, DesktopRefused

REPLACED, TIMED_OUT = m.ToastDismissalReason.REPLACED, m.ToastDismissalReason.TIMED_OUT
HIDDEN, CANCELED = m.ToastDismissalReason.APPLICATION_HIDDEN, m.ToastDismissalReason.USER_CANCELED


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class TestScreen:
    """For how long something is shown."""

    async def test_no_more_is_asked_for_than_a_user_can_see(self) -> None:
        """As many as fit come at once, then ten a second; so do the changes of one, and a call waits for none of them."""
        async with shelling() as h:
            rows = [row for number in range(ON_SCREEN_AT_ONCE + 30) for row in shown(number).rows]
            h.tell(m.Deliveries("mail", tuple(rows)), shown(99, toast_xml("call", scenario="incomingCall")))
            start = anyio.current_time()
            while len(h.desktop.asked) < len(rows) + 1:  # noqa: ASYNC110  # virtual time
                await anyio.sleep(0.05)
            assert anyio.current_time() - start == pytest.approx(3.0, abs=0.3)
            assert h.desktop.asked[0][0].title == "call"
            for number in range(100):
                h.ask(m.UpdateToast(number, "", "", 0, ()))
                h.show(tag="t", content=toast_xml(f"v{number}"))
                await anyio.sleep(0.01)
            before = len(h.desktop.asked)
            await anyio.sleep(5)
            assert before - len(rows) < ON_SCREEN_AT_ONCE + 15
            assert "v99" in h.desktop.titles

    @pytest.mark.parametrize(("duration", "seconds"), [("short", 7), ("long", 25)])
    async def test_it_goes_by_the_shells_own_clock(self, duration: str, seconds: int) -> None:
        """Whatever the daemon does; then it can still be listed."""
        async with shelling() as h:
            content = toast_xml("n1").replace(b"<toast", f'<toast duration="{duration}"'.encode())
            number = h.show(content, tag="t")
            assert await h.told() == m.ToastShown(number, 1, Outcome.SHOWN, "")
            start = anyio.current_time()
            assert await h.told() == m.ToastDismissed(1, "t", "", TIMED_OUT)
            assert anyio.current_time() - start == pytest.approx(seconds, abs=0.1)
            await h.kept()
            assert h.desktop.popups == {}
            h.ask(m.ListToasts(9))
            listed = await h.told()
            assert isinstance(listed, m.ToastList)
            assert [m.ToastRow._make(row).id for row in listed.rows] == [1]

    async def test_a_desktop_may_keep_what_it_shows(self) -> None:
        """As a terminal does, where the user is slower than a popup; what expires goes all the same."""
        async with shelling() as h:
            h.desktop.standing = evolve(h.desktop.standing, keeps=True)
            h.show(tag="a")
            h.show(tag="b", expires=60.0)
            await h.told()
            await h.told()
            await anyio.sleep(3600)
            assert await h.told() == m.ToastDismissed(2, "b", "", TIMED_OUT)
            assert len(h.desktop.popups) == 1

    async def test_a_call_rings_until_it_is_taken_down(self) -> None:
        """Its sender takes it down."""
        async with shelling() as h:
            h.show(toast_xml("call", scenario="incomingCall"))
            await h.told()
            await anyio.sleep(110)
            (popup,) = h.desktop.popups.values()
            assert (popup.urgent, popup.seconds, popup.loop, popup.sound) == (True, 120.0, True, "phone-incoming-call")
            h.ask(m.RemoveToasts(2, None, None, None))
            assert {type(await h.told()), type(await h.told())} == {m.Done, m.ToastDismissed}
            await h.kept()
            assert h.desktop.popups == {}

    async def test_a_call_that_no_one_takes_down_closes_itself(self) -> None:
        """After two minutes: its sender may be gone."""
        async with shelling() as h:
            h.show(toast_xml("call", scenario="incomingCall"))
            await h.told()
            start = anyio.current_time()
            assert await h.told() == m.ToastDismissed(1, "", "", TIMED_OUT)
            assert anyio.current_time() - start == pytest.approx(120, abs=1)
            await h.kept()
            assert h.desktop.popups == {}

    async def test_a_tag_and_a_group_are_a_place(self) -> None:
        """The next one takes it, on the screen and in the list; another group is another place."""
        async with shelling() as h:
            for text, group in (("one", ""), ("two", ""), ("three", "g")):
                h.show(toast_xml(text), tag="t", group=group)
            words = [await h.told() for _ in range(4)]
            assert m.ToastDismissed(1, "t", "", REPLACED) in words
            assert sorted(h.desktop.titles) == ["three", "two"]
            assert [toast.id for toast in (await h.kept()).toasts] == [2, 3]

    async def test_values_are_updated_in_their_order(self) -> None:
        """Silently, in the same place; an older update changes nothing, and one of nothing is told."""
        async with shelling() as h:
            bar = '<progress title="copy" value="{value}" status="{status}"/>'
            content = toast_xml().replace(b"</binding>", f"{bar}</binding>".encode())
            h.show(content, tag="t", sequence_number=1, data=(m.TextPair("value", "0.1"), m.TextPair("status", "on")))
            await h.told()
            for number, value in ((5, "0.5"), (4, "0.4")):
                h.ask(m.UpdateToast(number, "t", "", number, (m.TextPair("value", value),)))
                assert await h.told() == m.ToastUpdated(number, found=True)
            await h.kept()
            (popup,) = h.desktop.popups.values()
            assert (popup.progress, popup.body, popup.silent) == (0.5, "copy\non 50%", True)
            h.ask(m.UpdateToast(9, "none", "", 1, ()))
            assert await h.told() == m.ToastUpdated(9, found=False)

    async def test_what_the_user_has_closed_no_update_brings_back(self) -> None:
        """Also where that was on its way; another toast in its place is shown."""
        async with shelling() as h:
            h.show(tag="t")
            await h.told()
            h.desktop.delay = 1.0
            h.ask(m.UpdateToast(2, "t", "", 2, ()))
            assert await h.told() == m.ToastUpdated(2, found=True)
            h.desktop.say(Closed(Handle("d1", 1), ClosedBy.USER))
            assert await h.told() == m.ToastDismissed(1, "t", "", CANCELED)
            h.ask(m.UpdateToast(3, "t", "", 3, ()))
            assert await h.told() == m.ToastUpdated(3, found=False)
            await h.kept()
            assert h.desktop.popups == {}
            h.desktop.delay = 0.0
            h.show(toast_xml("one"), tag="t")
            await h.told()
            h.desktop.delay = 1.0
            h.show(toast_xml("two"), tag="t")
            assert isinstance(await h.told(), m.ToastDismissed)
            h.desktop.say(Closed(Handle("d1", 2), ClosedBy.USER))
            assert isinstance(await h.told(), m.ToastShown)
            assert "two" in h.desktop.titles

    @pytest.mark.parametrize("how", ["removed", "refused"])
    async def test_what_ends_while_it_changes_leaves_no_popup(self, how: str) -> None:
        """Its earlier content is taken down, too."""
        async with shelling() as h:
            h.show(tag="t")
            await h.told()
            h.desktop.delay = 1.0
            h.desktop.failures = [DesktopRefused("no")]
            h.ask(m.UpdateToast(2, "t", "", 2, ()))
            await h.told()
            if how == "removed":
                h.ask(m.RemoveToasts(3, None, "t", None))
            await anyio.sleep(5)
            assert ((await h.kept()).toasts, h.desktop.popups) == ([], {})

    async def test_what_an_app_removes_is_removed(self) -> None:
        """By number, by tag, by group; what is not there is no error."""
        async with shelling() as h:
            for tag, group in (("a", "g"), ("b", "g"), ("a", "h"), ("c", ""), ("g", "g")):
                h.show(tag=tag, group=group)
                await h.told()
            for wish, left in (
                (m.RemoveToasts(0, None, "g", "g"), [1, 2, 3, 4]),
                (m.RemoveToasts(1, None, "a", "h"), [1, 2, 4]),
                (m.RemoveToasts(2, 4, None, None), [1, 2]),
                (m.RemoveToasts(3, None, "z", None), [1, 2]),
                (m.RemoveToasts(4, None, None, "g"), []),
            ):
                h.ask(wish)
                assert [toast.id for toast in (await h.kept()).toasts] == left
            assert h.desktop.popups == {}

    async def test_kept_without_being_shown(self) -> None:
        """As its sender wants it."""
        async with shelling() as h:
            number = h.show(suppress_display=True)
            answer = await h.told()
            assert isinstance(answer, m.ToastShown)
            assert (answer.request, answer.outcome) == (number, Outcome.SUPPRESSED)
            assert "kept without being shown" in answer.detail
            assert h.desktop.asked == []
            assert len((await h.kept()).toasts) == 1

    async def test_what_has_expired_is_not_shown(self) -> None:
        """Nor listed, nor kept for the next start."""
        async with shelling() as h:
            h.show(expires=3.0)
            await h.told()
            assert await h.told() == m.ToastDismissed(1, "", "", TIMED_OUT)
            h.ask(m.ListToasts(9))
            assert await h.told() == m.ToastList(9, ())
            h.tell(shown(1, expires=500.0))
            assert await outcome(h) == (1, Outcome.DROPPED, DropReason.EXPIRED)


class TestDaemons:
    """Daemons come and go."""

    async def test_what_is_on_the_screen_is_shown_again_by_the_next(self) -> None:
        """With numbers of its own; those of the first mean nothing to it."""
        async with shelling() as h:
            h.show(toast_xml("stay", scenario="reminder"))
            await h.told()
            h.desktop.change("")
            await anyio.sleep(1)
            h.desktop.change("d2")
            await h.kept()
            popup, _ = h.desktop.asked[-1]
            assert (popup.silent, h.desktop.titles) == (True, ["stay"])
            (toast,) = (await h.kept()).toasts
            assert (toast.daemon, toast.number) == ("d2", 1)

    async def test_one_that_does_not_come_back_is_waited_for_a_while(self) -> None:
        """Then what was to be shown is suppressed."""
        async with shelling() as h:
            h.desktop.change("")
            await h.kept()
            start = anyio.current_time()
            h.tell(shown(1))
            assert await outcome(h) == (1, Outcome.SUPPRESSED, DropReason.NO_DESKTOP)
            assert 3 < anyio.current_time() - start < 6

    async def test_without_a_desktop_after_a_restart_what_was_shown_is_still_listed(self) -> None:
        """All that asked for it have their answer: it is kept, and shown no more."""
        async with shelling() as h:
            h.show(toast_xml("stay", scenario="reminder"))
            await h.told()
            store = await h.kept()
        assert len(store.toasts) == 1
        async with shelling(h.store, PlayedDesktop("")) as after:
            await anyio.sleep(10)
            (toast,) = (await after.kept()).toasts
            assert (toast.until, toast.daemon) == (0.0, "")

    async def test_popups_of_others_are_none_of_ours(self) -> None:
        """Signals of foreign numbers are passed over."""
        async with shelling() as h:
            h.desktop.press(99)
            h.desktop.say(Closed(Handle("other", 1), ClosedBy.USER))
            h.tell(shown(1))
            assert await outcome(h) == (1, Outcome.SHOWN, None)

    async def test_where_one_is_shown_at_a_time_a_call_goes_first(self) -> None:
        """Ordinary toasts wait for each other, and are taken down for it."""
        async with shelling() as h:
            h.desktop.one_at_a_time()
            h.tell(shown(1), shown(2))
            assert await outcome(h) == (1, Outcome.SHOWN, None)
            assert h.desktop.titles == ["n1"]
            h.tell(shown(3, toast_xml("call", scenario="incomingCall")))
            assert await outcome(h) == (3, Outcome.SHOWN, None)
            await h.kept()
            assert h.desktop.titles == ["call"]
