"""A toast of the shell as its store has it, and back."""

from __future__ import annotations

from tocsin.persistence.shell_store import StoredToast
from tocsin.protocol.toasts.popup import Handle
from tocsin.protocol.toasts.read_toast import read_toast
from tocsin.protocol.toasts.render_popup import is_urgent
from tocsin.protocol.toasts.shell_toast import ShellToast, ToastWishes
from tocsin.protocol.toasts.toast_life import Phase


def stored_of(toast: ShellToast, boot: str, now: float) -> StoredToast:
    """Return how a toast is stored; ``boot`` names this run of the system, ``now`` is in seconds since the epoch."""
    wishes, handle, is_there = toast.wishes, toast.handle, toast.phase is Phase.ON_SCREEN
    return StoredToast(
        toast.id,
        toast.app,
        wishes.tag,
        wishes.group,
        toast.payload,
        toast.content,
        tuple(wishes.data.items()),
        wishes.sequence_number,
        toast.phase is Phase.HELD,
        toast.shown or now,
        toast.until if is_there else 0.0,
        wishes.expires,
        boot if wishes.expires_on_reboot else "",
        handle.daemon if handle is not None and is_there else "",
        handle.number if handle is not None and is_there else 0,
    )


def toast_of_store(stored: StoredToast) -> ShellToast:
    """Return a toast that was stored.

    :raises UnreadableContent: another version has stored it, which can read it.
    """
    wishes = ToastWishes(
        stored.tag,
        stored.group,
        stored.expires,
        expires_on_reboot=bool(stored.boot),
        sequence_number=stored.sequence_number,
        data=dict(stored.data),
    )
    urgent = is_urgent(read_toast(stored.content))
    toast = ShellToast(stored.id, stored.id, stored.app, stored.content, wishes, stored.payload, urgent)
    toast.shown, toast.until, toast.seen = stored.shown, stored.until, stored.content
    toast.handle = Handle(stored.daemon, stored.number) if stored.daemon else None
    return toast
