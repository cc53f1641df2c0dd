"""What one batch of the shell changes and says: committed first, then told to those who have asked, and to apps."""

from __future__ import annotations

from tocsin.actors.sessions import Sessions
from tocsin.mailbox import Mailbox
from tocsin.persistence.shell_store import (
    ShellChanges,
    ShellStore,
    StoredActivation,
    StoredBadge,
    StoredTile,
    StoredToast,
)
from tocsin.protocol import messages as m
from tocsin.protocol.toasts.shell_toast import PayloadAsker, ShellToast
from tocsin.protocol.values import MAX_OUTCOMES, DropReason, Outcome


class ShellAnswers:
    """The changes that wait for their commit, and the words that wait for it."""

    def __init__(self, store: ShellStore, supervisor: Mailbox, sessions: Sessions) -> None:
        self._store, self._supervisor, self._sessions = store, supervisor, sessions
        self._kept: dict[int, StoredToast] = {}
        self._dropped: dict[int, None] = {}
        self.shown: list[str] = []
        """The ids of payloads that are shown with this batch."""
        self._activations: list[StoredActivation] = []
        self._tiles: dict[tuple[str, str, str], StoredTile | None] = {}
        self._badges: dict[str, StoredBadge | None] = {}
        self._forgotten: list[str] = []
        self._rows: list[m.ShellOutcomeRow] = []
        self._replies: list[tuple[str, m.Message]] = []
        self._told: list[tuple[str, m.Message]] = []

    # What is stored

    def keep(self, toast: StoredToast) -> None:
        """Keep how a toast stands."""
        self._dropped.pop(toast.id, None)
        self._kept[toast.id] = toast

    def drop(self, id_: int) -> None:
        """Keep a toast no more."""
        self._kept.pop(id_, None)
        self._dropped[id_] = None

    def activate(self, click: StoredActivation) -> None:
        """Keep a click, until its app has it."""
        self._activations.append(click)

    def set_tile(self, app: str, tile: str, tag: str, stored: StoredTile | None) -> None:
        """Keep what a tile shows; None clears it."""
        self._tiles[app, tile, tag] = stored

    def set_badge(self, app: str, stored: StoredBadge | None) -> None:
        """Keep the badge of an app; None clears it."""
        self._badges[app] = stored

    def forget(self, app: str) -> None:
        """Keep nothing of an app any more, neither what it has changed with this batch."""
        self._kept = {id_: each for id_, each in self._kept.items() if each.app != app}
        self._activations = [each for each in self._activations if each.app != app]
        self._tiles = {key: each for key, each in self._tiles.items() if key[0] != app}
        self._badges.pop(app, None)
        self._forgotten.append(app)

    # What is said

    def answer(self, toast: ShellToast, outcome: Outcome) -> None:
        """Tell those who have asked for a toast what has become of it."""
        for asker in toast.askers:
            if isinstance(asker, PayloadAsker):
                self.answer_payload(asker.sequence, asker.attempt, outcome, toast.reason, toast.detail)
                if outcome is not Outcome.DROPPED:
                    self.shown.append(asker.payload)
            else:
                shown = m.ToastShown(asker.request, toast.id, outcome, toast.detail)
                self._replies.append((asker.session, shown))

    def answer_payload(
        self, sequence: int, attempt: int, outcome: Outcome, reason: DropReason | None = None, detail: str = ""
    ) -> None:
        """Tell what has become of a payload."""
        self._rows.append(m.ShellOutcomeRow(sequence, attempt, outcome, reason, detail))

    def reply(self, session: str, message: m.Message) -> None:
        """Answer the question of a session."""
        self._replies.append((session, message))

    def dismissed(self, toast: ShellToast, reason: m.ToastDismissalReason) -> None:
        """Tell an app that a toast has gone without a click."""
        gone = m.ToastDismissed(toast.id, toast.wishes.tag, toast.wishes.group, reason)
        self._told.append((toast.app, gone))

    async def perform(self, last_id: int) -> None:
        """Commit, then say all of it.

        :raises StateUnavailable: there is nothing to wait for; a full disk or a failed fsync is waited out in here.
        """
        changes = self._changes(last_id)
        if changes:
            await self._store.commit(changes)
        for start in range(0, len(self._rows), MAX_OUTCOMES):
            self._supervisor.send_urgent(m.ShellOutcomes(tuple(self._rows[start : start + MAX_OUTCOMES])))
        for session, reply in self._replies:
            self._sessions.send(session, reply)
        for app, word in self._told:
            self._sessions.send_to_app(app, word)
        for done in (self._kept, self._dropped, self.shown, self._activations, self._tiles, self._badges):
            done.clear()
        for said in (self._forgotten, self._rows, self._replies, self._told):
            said.clear()

    def _changes(self, last_id: int) -> ShellChanges:
        return ShellChanges(
            list(self._forgotten),
            list(self._dropped),
            list(self._kept.values()),
            list(self.shown),
            list(self._activations),
            [tile for tile in self._tiles.values() if tile is not None],
            [key for key, tile in self._tiles.items() if tile is None],
            [badge for badge in self._badges.values() if badge is not None],
            [app for app, badge in self._badges.items() if badge is None],
            last_id,
        )
