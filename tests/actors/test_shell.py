"""The shell: what becomes of payloads, questions, clicks and tiles."""

from __future__ import annotations

import re
from typing import Any

import anyio
import pytest
import trio.testing

from tests.actors.shelling import outcome, shelling, shown, toast_xml
from tests.protocol.tables import erase
from tocsin.actors.returning_processes import ReturningProcesses
from tocsin.protocol import messages as m
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages.codec import decode
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.platform.reunion import SessionProcess
from tocsin.protocol.toasts.popup import Handle
from tocsin.protocol.toasts.toast_life import KEPT_OF_APP, MAX_WAITING, ON_SCREEN_AT_ONCE, TABLE, Effect
from tocsin.protocol.values import DropReason, NotificationType, Outcome
from tocsin.shell.desktop import Closed, ClosedBy, DesktopFull, DesktopRefused

REPLACED, TIMED_OUT = m.ToastDismissalReason.REPLACED, m.ToastDismissalReason.TIMED_OUT
HIDDEN, CANCELED = m.ToastDismissalReason.APPLICATION_HIDDEN, m.ToastDismissalReason.USER_CANCELED


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class TestPayloads:
    """What comes from the supervisor."""

    async def test_a_toast_is_shown_before_it_is_said_to_be(self) -> None:
        """The desktop has answered, and the store knows it; handed on again, it is known by its id."""
        async with shelling() as h:
            h.desktop.delay = 3.0
            h.tell(shown(1))
            start = anyio.current_time()
            assert await outcome(h) == (1, Outcome.SHOWN, None)
            assert anyio.current_time() - start == pytest.approx(3.0, abs=0.1)
            (popup,) = h.desktop.popups.values()
            assert (popup.app, popup.title, [each.label for each in popup.buttons]) == ("mail", "n1", ["Yes", "No"])
            assert (await h.kept()).shown == ["id1"]
            h.tell(shown(2, id="id1"))
            assert await outcome(h) == (2, Outcome.SHOWN, None)
            assert len(h.desktop.asked) == 1

    @pytest.mark.parametrize("kind", [NotificationType.TOAST, NotificationType.TILE, NotificationType.BADGE])
    async def test_what_cannot_be_read_dies_with_the_reason(self, kind: NotificationType) -> None:
        """Empty, or something else: nothing is shown, and what comes behind it is."""
        async with shelling() as h:
            h.tell(shown(1, b"", kind), shown(2, b"<other/>", kind), shown(3))
            rows = await h.ended()
            assert [(row.sequence, row.reason) for row in rows] == [
                (1, DropReason.UNREADABLE),
                (2, DropReason.UNREADABLE),
            ]
            assert rows[0].detail == "it is empty"
            assert await outcome(h) == (3, Outcome.SHOWN, None)

    async def test_without_a_desktop_it_is_suppressed(self) -> None:
        """And says so; the next one is tried again."""
        async with shelling() as h:
            h.desktop.daemon = ""
            h.tell(shown(1))
            assert await outcome(h) == (1, Outcome.SUPPRESSED, DropReason.NO_DESKTOP)
            h.desktop.daemon = "d1"
            h.tell(shown(2))
            assert await outcome(h) == (2, Outcome.SHOWN, None)

    async def test_one_of_the_same_tag_and_group_takes_the_place_of_another(self) -> None:
        """On the screen and in the list; a tile has its tag, too."""
        async with shelling() as h:
            for number, label in enumerate(["t/g", "t", "t/g", ""], 1):
                h.tell(shown(number, label=label))
                assert await outcome(h) == (number, Outcome.SHOWN, None)
            assert sorted(h.desktop.titles) == ["n2", "n3", "n4"]
            assert [(each.tag, each.group) for each in (await h.kept()).toasts] == [("t", ""), ("t", "g"), ("", "")]
            tile = b'<tile><visual><binding template="TileSquareText04"><text>x</text></binding></visual></tile>'
            h.tell(shown(5, tile, NotificationType.TILE, label="t"))
            assert await outcome(h) == (5, Outcome.SHOWN, None)
            assert [each.tag for each in (await h.kept()).tiles] == ["t"]

    async def test_a_sender_has_a_toast_kept_without_a_popup(self) -> None:
        """It is in the list, and its payload has ended well."""
        async with shelling() as h:
            h.tell(shown(1, label="t!"))
            assert await outcome(h) == (1, Outcome.SUPPRESSED, None)
            assert h.desktop.asked == []
            assert [each.tag for each in (await h.kept()).toasts] == ["t"]

    async def test_what_its_sender_has_deleted_is_taken_down(self) -> None:
        """By tag and group, of that app; what the app has shown by itself is not its sender's."""
        async with shelling() as h:
            h.show(tag="t", group="g")
            await h.told()
            for number, label in enumerate(["", "g/g", "t", "x/g"], 1):
                h.tell(shown(number, label=label))
                await h.ended()
            for message, left in (
                (m.ToastsWithdrawn("chat", None, None), ["", "g", "t", "t", "x"]),
                (m.ToastsWithdrawn("mail", "g", "g"), ["", "t", "t", "x"]),
                (m.ToastsWithdrawn("mail", "t", None), ["", "t", "x"]),
                (m.ToastsWithdrawn("mail", None, "g"), ["", "t"]),
                (m.ToastsWithdrawn("mail", None, None), ["t"]),
            ):
                h.tell(message)
                assert sorted(each.tag for each in (await h.kept()).toasts) == left
            assert len(h.desktop.popups) == 1

    async def test_what_is_deleted_before_it_is_shown_is_suppressed(self) -> None:
        """It is no dead letter: its sender wants it gone."""
        async with shelling() as h:
            h.desktop.delay = 1.0
            waiting = ON_SCREEN_AT_ONCE + 8
            h.tell(*(shown(number, label=f"t{number}") for number in range(1, waiting + 1)))
            h.tell(m.ToastsWithdrawn("mail", f"t{waiting}", None))
            (row,) = await h.ended()
            assert (row.sequence, row.outcome, row.reason) == (waiting, Outcome.SUPPRESSED, DropReason.WITHDRAWN)

    async def test_a_desktop_that_is_full_gets_room_once(self) -> None:
        """The oldest popup is taken down for it; a second time the toast dies of that."""
        async with shelling() as h:
            h.tell(shown(1))
            await h.ended()
            h.desktop.failures = [DesktopFull("full")]
            h.tell(shown(2))
            assert await outcome(h) == (2, Outcome.SHOWN, None)
            assert h.desktop.titles == ["n2"]
            h.desktop.failures = [DesktopFull("full"), DesktopFull("full")]
            h.tell(shown(3))
            assert await outcome(h) == (3, Outcome.DROPPED, DropReason.SHELL_FULL)
            h.desktop.failures = [DesktopRefused("no")]
            h.tell(shown(4))
            assert await outcome(h) == (4, Outcome.DROPPED, DropReason.SHELL_FAILED)

    async def test_the_user_decides_what_is_shown(self) -> None:
        """For all apps, for one, and by type."""
        async with shelling() as h:
            h.tell(m.AppSettingsChanged("mail", AppSettings(toasts=False)), shown(1))
            assert await outcome(h) == (1, Outcome.SUPPRESSED, DropReason.TYPE_DISABLED)
            h.tell(m.AppSettingsChanged("mail", AppSettings(notifications=False)), shown(2))
            assert await outcome(h) == (2, Outcome.SUPPRESSED, DropReason.NOTIFICATIONS_DISABLED)
            h.tell(m.AppSettingsChanged("mail", AppSettings()), m.HostChanged(HostState(notifications=False)), shown(3))
            assert await outcome(h) == (3, Outcome.SUPPRESSED, DropReason.NOTIFICATIONS_DISABLED)
            assert h.desktop.asked == []

    async def test_quiet_hours_hold_what_is_not_urgent(self) -> None:
        """A call comes through; the rest is shown when they end, also by another shell."""
        async with shelling() as h:
            h.tell(
                m.HostChanged(HostState(quiet_hours=True)),
                shown(1),
                shown(2, toast_xml("call", scenario="incomingCall")),
            )
            assert await outcome(h) == (1, Outcome.SUPPRESSED, DropReason.QUIET_HOURS_ENTERED)
            assert await outcome(h) == (2, Outcome.SHOWN, None)
            assert h.desktop.titles == ["call"]
            store, desktop = h.store, h.desktop
        async with shelling(store, desktop) as h:
            await h.kept()
            assert h.desktop.titles == ["call"]
            h.tell(m.HostChanged(HostState()))
            await h.kept()
            assert sorted(h.desktop.titles) == ["call", "n1"]

    async def test_quiet_hours_hold_so_many_of_an_app(self) -> None:
        """The oldest go, and the newest are shown when they end, also by another shell."""
        async with shelling() as h:
            h.tell(m.HostChanged(HostState(quiet_hours=True)))
            rows = [row for number in range(KEPT_OF_APP + 5) for row in shown(number).rows]
            h.tell(m.Deliveries("mail", tuple(rows)))
            h.tell(m.Deliveries("chat", tuple(shown(1000).rows)))
            stored = (await h.kept()).toasts
            assert len(stored) == KEPT_OF_APP + 1
            store, desktop = h.store, h.desktop
        async with shelling(store, desktop) as h:
            h.tell(m.HostChanged(HostState(quiet_hours=True)), shown(KEPT_OF_APP + 5))
            await h.kept()
            h.tell(m.HostChanged(HostState()))
            await anyio.sleep(30)
            titles = {popup.title for popup, _ in desktop.asked}
            assert titles == {f"n{number}" for number in range(6, KEPT_OF_APP + 6)} | {"n1000"}

    async def test_more_than_a_desktop_takes_is_told(self) -> None:
        """The newest push out the oldest; what cannot even wait dies at once, and nothing is lost."""
        async with shelling() as h:
            h.desktop.delay = 0.5
            count = MAX_WAITING + 300
            rows = [row for number in range(1, count + 1) for row in shown(number).rows]
            call = toast_xml("call", scenario="incomingCall")
            h.tell(m.Deliveries("mail", tuple(rows)), shown(count + 1, call))
            count += 1
            ends: list[m.ShellOutcomeRow] = []
            while len(ends) < count:
                ends += await h.ended()
            assert sorted(row.sequence for row in ends) == list(range(1, count + 1))
            full = [row for row in ends if row.reason == DropReason.SHELL_FULL]
            assert 0 < len(full) <= 300
            assert {row.outcome for row in ends if row not in full} == {Outcome.SHOWN}
            assert count not in {row.sequence for row in full}  # a call has its place
            assert len(h.desktop.popups) <= ON_SCREEN_AT_ONCE + 1
            assert len((await h.kept()).toasts) <= KEPT_OF_APP + ON_SCREEN_AT_ONCE + 1


class TestClicks:
    """What a click means."""

    @pytest.mark.parametrize(("key", "argument"), [("default", "open"), ("0", "yes"), ("1", "no")])
    async def test_it_goes_to_the_app_once(self, key: str, argument: str) -> None:
        """The toast is gone then, and a second click is none."""
        async with shelling() as h:
            h.ask(m.TakeActivations(7, b""))
            assert await h.told() == m.Done(7)
            h.show(tag="t")
            await h.told()
            h.desktop.press(1, key)
            h.desktop.press(1, "0")
            click = await h.told()
            assert isinstance(click, m.ToastActivated)
            assert (click.toast, click.tag, click.argument, click.attempt) == (1, "t", argument, 1)
            state = await h.kept()
            assert (state.toasts, [each.number for each in state.activations]) == ([], [click.number])
            assert h.desktop.popups == {}
            h.ask(m.ActivationDone(click.number, 1, ""))
            assert (await h.kept()).activations == []
            assert h.session.depth == 0

    async def test_without_a_session_a_process_is_launched(self) -> None:
        """By the command that the app has left."""
        async with shelling() as h:
            h.ask(m.TakeActivations(7, b"command"))
            await h.told()
            h.show()
            await h.told()
            h.sessions.remove("s")
            h.tell(m.SessionEnded("s"))
            h.desktop.press(1)
            await h.kept()
            (frame,) = await h.launcher.batch()
            assert b"command" in frame

    async def test_no_process_is_launched_while_one_of_before_is_to_come(self) -> None:
        """It may take the click that waits; and it has taken it before it counts as back."""
        async with shelling(returning=ReturningProcesses([SessionProcess("mail", 7)])) as h:
            await h.clicked()
            h.returning.met("s", "mail", 7)
            h.ask(m.TakeActivations(8, b"command"))
            h.ask(m.Resumed())
            assert await h.told() == m.Done(8)
            assert isinstance(await h.told(), m.ToastActivated)
            await h.kept()
            assert not h.returning.awaits(LaunchPurpose.TOAST, "mail")
            assert h.launcher.depth == 0

    async def test_where_none_is_to_come_any_more_a_process_is_launched(self) -> None:
        """The one of before has ended, without a session, or with one that took no click."""
        for has_session in (False, True):
            async with shelling(returning=ReturningProcesses([SessionProcess("mail", 7)])) as h:
                await h.clicked()
                if has_session:
                    h.returning.met("s", "mail", 7)
                    h.returning.left("s")
                    h.returning._ended.add(7)
                    h.sessions.remove("s")
                    h.tell(m.SessionEnded("s"))
                else:
                    h.returning._reunion.give_up(pid=7)
                    h.returning._note()
                (frame,) = await h.launcher.batch()
                assert b"command" in frame

    async def test_one_that_crosses_an_update_is_of_what_the_user_saw(self) -> None:
        """The content may have changed on its way: the button was that of before."""
        async with shelling() as h:
            h.ask(m.TakeActivations(7, b""))
            await h.told()
            h.show(toast_xml("old"), tag="t")
            await h.told()
            h.desktop.delay = 1.0
            h.show(toast_xml("new", actions='<actions><action content="Other" arguments="other"/></actions>'), tag="t")
            assert await h.told() == m.ToastDismissed(1, "t", "", REPLACED)
            h.desktop.press(1, "0")
            told = [await h.told(), await h.told()]
            (click,) = [each for each in told if isinstance(each, m.ToastActivated)]
            assert click.argument == "yes"
            await anyio.sleep(2)
            assert h.desktop.popups == {}

    async def test_a_toast_of_before_a_restart_can_be_clicked(self) -> None:
        """It is shown again in its place, without a sound, so that the click comes to this shell."""
        async with shelling() as h:
            h.show(toast_xml("call", scenario="incomingCall"), tag="t")
            await h.told()
            store, desktop = h.store, h.desktop
        async with shelling(store, desktop) as h:
            h.ask(m.TakeActivations(7, b""))
            await h.told()
            await h.kept()
            popup, replaces = desktop.asked[-1]
            assert (popup.title, popup.silent, replaces) == ("call", True, Handle("d1", 1))
            desktop.press(1, "1")
            click = await h.told()
            assert isinstance(click, m.ToastActivated)
            assert click.argument == "no"

    async def test_a_click_that_was_stored_arrives_after_a_restart(self) -> None:
        """Once, as the second time that it is handed out."""
        async with shelling() as h:
            h.ask(m.TakeActivations(7, b""))
            await h.told()
            h.show()
            await h.told()
            h.desktop.press(1, "0")
            assert isinstance(await h.told(), m.ToastActivated)
            store = h.store
        async with shelling(store) as h:
            h.ask(m.TakeActivations(8, b""))
            await h.told()
            click = await h.told()
            assert isinstance(click, m.ToastActivated)
            assert (click.argument, click.attempt) == ("yes", 2)

    async def test_dismissing_is_told(self) -> None:
        """By the X, and by a button of the system, which the app never hears of as a click."""
        dismiss = '<actions><action activationType="system" arguments="dismiss" content=""/></actions>'
        async with shelling() as h:
            h.ask(m.TakeActivations(7, b""))
            await h.told()
            h.show(tag="a")
            h.show(toast_xml(actions=dismiss), tag="b")
            await h.told()
            await h.told()
            h.desktop.say(Closed(Handle("d1", 1), ClosedBy.USER))
            assert await h.told() == m.ToastDismissed(1, "a", "", CANCELED)
            h.desktop.press(2, "0")
            assert await h.told() == m.ToastDismissed(2, "b", "", CANCELED)
            assert (await h.kept()).toasts == []


class TestTiles:
    """Tiles and badges are state."""

    async def test_they_are_set_listed_and_cleared(self) -> None:
        """By payloads and by the app; after three days they show nothing."""
        tile = b'<tile><visual><binding template="TileMedium"><text>hi</text></binding></visual></tile>'
        async with shelling() as h:
            h.tell(shown(1, tile, NotificationType.TILE), shown(2, b'<badge value="7"/>', NotificationType.BADGE))
            assert [row.outcome for row in await h.ended()] == [Outcome.SHOWN, Outcome.SHOWN]
            h.ask(m.SetTile(3, "second", "", tile))
            assert await h.told() == m.Done(3)
            h.ask(m.AskTiles(4))
            listed = await h.told()
            assert isinstance(listed, m.TileList)
            assert listed.badge == b'<badge value="7"/>'
            assert [m.TileRow._make(row).tile for row in listed.rows] == ["second", ""]
            h.ask(m.SetBadge(5, b""))
            h.ask(m.SetTile(6, "", "", b""))
            assert [await h.told(), await h.told()] == [m.Done(5), m.Done(6)]
            assert len((await h.kept()).tiles) == 1
            h.ask(m.SetBadge(7, b'<badge value="lots"/>'))
            refused = await h.told()
            assert isinstance(refused, m.Failed)
            assert refused.error == "UnreadableContent"
            await anyio.sleep(4 * 24 * 3600)
            h.ask(m.AskTiles(8))
            assert await h.told() == m.TileList(8, b"", ())

    @pytest.mark.parametrize(
        "off",
        [
            m.AppSettingsChanged("mail", AppSettings(tiles=False, badges=False)),
            m.AppSettingsChanged("mail", AppSettings(notifications=False)),
            m.HostChanged(HostState(notifications=False)),
        ],
    )
    async def test_what_is_switched_off_is_not_set_which_is_no_error(self, off: m.Message) -> None:
        """An app runs the same, whatever its user wants to see; what was set before stays."""
        async with shelling() as h:
            h.ask(m.SetBadge(1, b'<badge value="1"/>'))
            h.tell(off)
            h.ask(m.SetBadge(2, b'<badge value="2"/>'))
            h.ask(m.SetTile(3, "", "", b"<tile><visual/></tile>"))
            assert [await h.told() for _ in range(3)] == [m.Done(1), m.Done(2), m.Done(3)]
            h.ask(m.AskTiles(4))
            assert await h.told() == m.TileList(4, b'<badge value="1"/>', ())

    async def test_what_policy_forbids_is_not_set(self) -> None:
        """For any app, with the code of that; to clear is always allowed, and what the user does not want is no error."""
        tile = b'<tile><visual><binding template="TileMedium"><text>hi</text></binding></visual></tile>'
        badge, code = b'<badge value="7"/>', HResult.WPN_E_NOTIFICATION_TYPE_DISABLED
        async with shelling() as h:
            for number, (host, settings, words) in enumerate(
                [
                    (
                        HostState(tiles=False, badges=False),
                        AppSettings(),
                        ["group policy forbids tiles", "group policy forbids badges"],
                    ),
                    (HostState(), AppSettings(tiles=False, badges=False), ["", ""]),
                    (HostState(toasts=False, cloud_notifications=False), AppSettings(), ["", ""]),
                ]
            ):
                h.tell(m.HostChanged(host), m.AppSettingsChanged("mail", settings))
                for each, text in zip((m.SetTile(number, "", "", tile), m.SetBadge(number, badge)), words, strict=True):
                    h.ask(each)
                    assert await h.told() == (m.Failed(number, "NotShown", text, code) if text else m.Done(number))
                for each in (m.SetTile(9, "", "", b""), m.SetBadge(9, b"")):
                    h.ask(each)
                    assert await h.told() == m.Done(9)


async def test_an_app_that_was_removed_leaves_nothing() -> None:
    """Neither on the screen nor in the store."""
    async with shelling() as h:
        h.ask(m.TakeActivations(7, b"c"))
        h.show(tag="t")
        h.ask(m.SetBadge(5, b'<badge value="1"/>'))
        await h.kept()
        h.tell(m.ForgetApp("mail"))
        state = await h.kept()
        assert (state.toasts, state.badges, state.activations, dict(state.commands)) == ([], [], [], {})
        assert h.desktop.popups == {}


async def test_a_toast_that_does_not_outlive_the_system_is_gone_with_it() -> None:
    """And stays where only the shell began anew."""
    async with shelling() as h:
        h.show(toast_xml(scenario="reminder"), expires_on_reboot=True)
        h.show(toast_xml(scenario="reminder"))
        await h.kept()
        store = h.store
    for boot, left in (("b1", [1, 2]), ("b2", [2])):
        async with shelling(store, boot=boot) as h:
            assert [toast.id for toast in (await h.kept()).toasts] == left


async def _seen() -> list[str]:
    """Bring toasts to every end, and return all that the desktop, the store, the session and the supervisor have seen."""
    seen: list[str] = []
    async with shelling() as h:

        async def look() -> None:
            told = [
                decode(frame)
                for mailbox in (h.session, h.supervisor)
                for frame in (await mailbox.batch() if mailbox.depth else ())
            ]
            state = repr((await h.kept(), h.desktop.popups, h.desktop.asked, h.desktop.closed, told))
            seen.append(re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.1f}", state))

        h.ask(m.TakeActivations(90, b""))
        h.show(tag="a")
        h.tell(shown(1))
        await look()
        h.desktop.press(1, "0")
        await look()
        h.desktop.failures = [DesktopFull("full")]
        h.show(toast_xml("full"), tag="b")
        await look()
        h.desktop.failures = [DesktopRefused("no")]
        h.tell(shown(2))
        h.show(tag="c", suppress_display=True)
        await look()
        h.ask(m.RemoveToasts(91, None, "b", None))
        await look()
        h.show(toast_xml("late"), tag="d")
        await anyio.sleep(60)
        await look()
        h.show(toast_xml("stays", scenario="reminder"), tag="e")
        await look()
        h.desktop.change("d2")
        await look()
    return seen


@pytest.mark.parametrize("effect", Effect)
async def test_the_shell_does_nothing_that_its_table_does_not_name(
    monkeypatch: pytest.MonkeyPatch, effect: Effect
) -> None:
    """Without any one of its effects the table makes another shell, and that is seen around it."""
    right = await _seen()
    assert right == await _seen()
    erase(monkeypatch, TABLE, effect)
    assert await _seen() != right
