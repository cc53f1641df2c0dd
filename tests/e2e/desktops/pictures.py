"""Makes the pictures of ``docs/toasts.md`` and ``docs/calling.md``: ``python -m tests.e2e.desktops.pictures``, with two daemons that draw buttons."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from tests.e2e.desktops.desktop import desktop
from tests.e2e.desktops.tried import CHAT, RunningApp, Tried, toast, tried
from tocsin.calling.call_toast_content import ShownCall

PICTURES = Path(__file__).parents[3] / "docs" / "pictures"

DRAWING = {"xfce4-notifyd": "xfce", "mate-notification-daemon": "mate"}
"""Daemons, and what their pictures are called by."""

MOMENTS = (0.1, 0.6, 1.0)
"""How far the download is in each picture."""

_BAR = '<progress title="Washington.zip" value="{done}" status="{said}"/>'
_DOWNLOAD = f'<toast><visual><binding template="ToastGeneric"><text>Downloading</text>{_BAR}</binding></visual></toast>'


async def draw(on: Tried, app: RunningApp, name: str) -> None:
    """Show each toast, and save its popup."""
    await app.post(toast(*CHAT, buttons={"Reply": "reply", "Like": "like"}), X_WNS_Tag="chat")
    await _save(on, app, f"chat-{name}", "chat")
    for number, done in enumerate(MOMENTS, 1):
        data = {"done": str(done), "said": "Done" if done == 1 else "Downloading"}
        await app.manager.toasts.show(_DOWNLOAD, tag="progress", data=data)
        await _save(on, app, f"progress-{name}-{number}", "progress")
    call = toast(
        "Ann Smith", "Incoming call", buttons={"Accept": "accept", "Decline": "decline"}, scenario="incomingCall"
    )
    await app.post(call, X_WNS_Tag="call")
    await _save(on, app, f"call-{name}", "call")
    rings = ShownCall("incoming", "Ann Smith", video=True)
    await app.manager.toasts.show(rings.ring(), tag=rings.tag)
    await _save(on, app, f"incoming-call-{name}", rings.tag)


async def _save(on: Tried, app: RunningApp, picture: str, tag: str) -> None:
    await on.shown.pixels()
    (popup,) = await on.shown.popups()
    await on.shown.screenshot(PICTURES / f"{picture}.png", popup)
    await app.manager.toasts.remove_by_tag(tag)
    await on.shown.until_shown(0)


async def main() -> None:
    """Make all of them."""
    await anyio.Path(PICTURES).mkdir(exist_ok=True)
    for daemon, name in DRAWING.items():
        with TemporaryDirectory() as folder:
            async with (
                desktop(daemon, Path(folder), findable=False) as shown,
                tried(shown, Path(folder)) as on,
                on.app("contoso.mail") as app,
            ):
                await draw(on, app, name)


if __name__ == "__main__":
    anyio.run(main)
