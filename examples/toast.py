"""A toast with two buttons, and the one that the user presses.

python examples/toast.py [STATE]

It needs a desktop: pip install '.[service,desktop]', from a checkout
"""

import asyncio
import sys
import tempfile

import tocsin
from tocsin.shell import Desktop


async def main(state: str, desktop: Desktop | None = None) -> None:
    """Show a toast, and wait for the click, or for its end; without a desktop, say why nothing is shown."""
    over = asyncio.Event()

    def on_click(args: tocsin.ToastNotificationActivatedEventArgs) -> None:
        print("the user wants to", args.arguments["action"], "the call of", args.arguments["caller"])
        over.set()

    def on_dismissed(args: tocsin.ToastDismissedEventArgs) -> None:
        print("the toast has gone:", args.reason.name)
        over.set()

    async with tocsin.embedded(app="contoso.phone", state=state, desktop=desktop) as manager:
        await manager.toasts.on_activated(on_click)
        manager.toasts.add_dismissed(on_dismissed)
        builder = (
            tocsin.ToastContentBuilder()
            .add_argument("action", "look at")
            .add_argument("caller", "Ann")
            .add_text("Ann is calling you")
            .add_button(tocsin.ToastButton("Accept").add_argument("action", "accept"))
            .add_button(tocsin.ToastButton("Decline").add_argument("action", "decline"))
        )
        toast = await builder.show(tag="ann")  # here, or in any handler: it finds the block that it runs in
        if toast.outcome is not tocsin.Outcome.SHOWN:
            print("not shown:", toast.reason)
            return
        print("shown; press a button of it")
        await over.wait()


if __name__ == "__main__":
    tocsin.run(main, sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
