"""The ``tocsin`` command, one file a verb."""

from __future__ import annotations

from collections.abc import Sequence

VERBS = (
    "listen",
    "send",
    "webpush",
    "serve",
    "agent",
    "app",
    "hub",
    "migrate",
    "calling",
    "status",
    "open",
    "channels",
    "activators",
    "tiles",
    "dead-letters",
    "tail",
    "policy",
    "usage",
    "completion",
)

DESCRIPTION = """\
Push notifications that wake async Python apps.

  tocsin listen         run a push service and a device here, print the channel, then each payload as it comes
  tocsin send URI ...   send a notification to a channel, as a server would
  tocsin webpush send ...  send to a browser, encrypted; 'tocsin webpush keys' makes the key for it
  tocsin serve          run a push service for senders and devices elsewhere
  tocsin agent          hold the channels of this user's apps, and start those that are not running
  tocsin app add NAME   let an app use it, and print its credentials
  tocsin hub add NAME   make a notification hub of it, and print its connection strings
  tocsin migrate --to URL  move a service from its folder into a database
  tocsin calling serve  run a calling service, which rings the apps of its users
  tocsin status         say how an agent or a service is, and what it has counted
  tocsin open           open the page of what runs in a browser
  tocsin channels       list the channels that apps have
  tocsin activators     list what a push wakes apps by, and the commands that it starts
  tocsin tiles          list what the tiles and badges of apps show
  tocsin dead-letters   list the payloads that ended without being handled, and why
  tocsin tail           follow what happens to payloads, stage by stage
  tocsin policy show    say what the group policy says, where from, and what a payload would meet
  tocsin usage          list what apps have sent and received over the network
  tocsin completion bash  print what lets a shell complete all of this

Try 'tocsin listen' in one terminal, and paste the lines that it prints into another.
'tocsin VERB --help' says more about each.

Exit code 0 means that it was done; 1, that it was not, for the reason that is printed; 2, that the command line is none of ours.
With --json the reason is an object, too, the last line of standard error: {"event": "error", "command", "kind", "sentence", "hresult"}.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0 done, 1 it failed for a reason that was printed, 2 wrong usage."""
    try:
        from tocsin.cli.performing import perform  # noqa: PLC0415  # it is loaded for so long that Ctrl-C may come meanwhile

        return perform(argv)
    except KeyboardInterrupt:
        return 130
