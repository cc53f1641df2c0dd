"""``python -m tests.e2e.desktops.pictures``: draws the pictures of docs/toasts.md, by real daemons; needs Debian's packages of them."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio

from tests.e2e.desktops.desktop import Desktop, desktop, missing
from tocsin.protocol.toasts.render_popup import popup_of
from tocsin.protocol.toasts.toast_builder import ToastContentBuilder
from tocsin.protocol.toasts.toast_button import ToastButton
from tocsin.shell.freedesktop import FreedesktopDesktop

FOLDER = Path(__file__).parents[3] / "docs" / "pictures"
DAEMONS = ("mate-notification-daemon", "xfce4-notifyd")
"""Two that draw buttons."""

MOMENTS = ({"done": "0.1", "left": "9 MB left"}, {"done": "0.6", "left": "4 MB left"}, {"done": "1", "left": "ready"})

CHAT = ToastContentBuilder().add_text("Ann").add_text("Lunch at noon?").add_button("Yes").add_button("Later")
PROGRESS = ToastContentBuilder().add_text("Holiday pictures").add_progress_bar("", "{done}", status="{left},")
CALL = (
    ToastContentBuilder()
    .set_toast_scenario("incomingCall")
    .add_text("Ann is calling")
    .add_text("Incoming video call")
    .add_button(ToastButton("Decline").add_argument("action", "decline"))
    .add_button(ToastButton("Accept").add_argument("action", "accept"))
)


async def draw(name: str, folder: Path) -> None:
    """Draw all toasts as a daemon shows them."""
    async with desktop(name, folder, findable=False) as shown:
        shell = FreedesktopDesktop(shown.address)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shell.run)
            await _draw(shown, shell, f"chat-{name}", CHAT, [{}])
            await _draw(shown, shell, f"progress-{name}", PROGRESS, MOMENTS)
            await _draw(shown, shell, f"call-{name}", CALL, [{}])
            tasks.cancel_scope.cancel()


async def _draw(
    shown: Desktop,
    shell: FreedesktopDesktop,
    name: str,
    toast: ToastContentBuilder,
    moments: Sequence[Mapping[str, str]],
) -> None:
    """Save what is drawn of a toast at each of these moments, one below the other."""
    parts, handle = [], None
    for number, data in enumerate(moments):
        handle = await shell.show(popup_of("contoso.chat", toast.get_content(), data), handle)
        await shown.pixels()
        parts.append(shown.around.folder / f"{number}.png")
        await shown.screenshot(parts[-1], (await shown.popups())[0])
    assert handle is not None
    await shell.close(handle)
    await shown.until_shown(0)
    command = ["convert", *map(str, parts), "-bordercolor", "white", "-border", "4", "-append", "-strip"]
    await anyio.run_process([*command, "-colors", "128", f"png8:{FOLDER / name}.png"])


async def main() -> int:
    """Draw all of them, or say what is not installed."""
    if lacking := missing(*DAEMONS):
        sys.stderr.write(f"apt-get install {' '.join(lacking)}\n")
        return 1
    FOLDER.mkdir(exist_ok=True)
    for name in DAEMONS:
        with tempfile.TemporaryDirectory() as folder:
            await draw(name, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(anyio.run(main))
