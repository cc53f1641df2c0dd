"""``tocsin policy``: what the group policy says, where from, and what a payload would meet.

``tocsin.protocol.platform.policy`` is the policy itself.
"""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio

from tocsin.cli.command_line import add_verb, whole
from tocsin.cli.policy_words import setting_words
from tocsin.cli.state_choice import add_state_option, path
from tocsin.cli.table import aligned
from tocsin.cli.terminal import complain, show
from tocsin.host.policy_files import PolicyFile, PolicyLook, look_at, policy_files
from tocsin.protocol.errors import InvalidArgument, NotFound, PlatformUnavailable
from tocsin.protocol.platform.effective_policy import value_words
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.payload_outlook import PRIORITY_NAMES
from tocsin.protocol.platform.policy_report import PolicyQuestion, policy_report
from tocsin.protocol.text import harmless
from tocsin.protocol.values import WNS_TYPES
from tocsin.transport.control_socket import ask

DESCRIPTION = """\
Say what the group policy of this machine says, and from which file; try a file before it counts; exempt an app from energy saver.

The policy is 'policy.toml' in the folders for configuration, the system's (/etc/xdg/tocsin) before the user's (~/.config/tocsin),
whose file may only be stricter where the system's speaks. A change counts at once. docs/policy.md explains each setting.
"""

EPILOG = """\
examples:
  tocsin policy show                      each setting, its value, and where that is from
  tocsin policy show --app contoso.mail   what counts for an app, and what a raw payload of it would meet now
  tocsin policy show --app contoso.mail --type toast --priority 4
  tocsin policy check new-policy.toml     what a file says, and what is wrong with it; exit code 1 where something is
  tocsin policy exempt contoso.mail       let it run, and be pushed to, in energy saver
  tocsin policy exempt contoso.mail --off
"""

_SHOW = """\
Say what counts, and where it is from: a file, what the user has decided, or the default. With --app also what a payload of that
app would meet as things are now, gate by gate in their order. The agent that runs is asked, which knows the machine's state;
without one the files alone are looked at, as on a machine where all is well.
"""
_CHECK = """\
Say what a file says, and what is wrong with it, with its line. What is wrong is passed over where the file counts, and the rest
counts; a file that is no TOML leaves what it said before. Exit code 0 means that nothing is wrong.
"""
_EXEMPT = """\
Let an app run, and be pushed to, in energy saver, as its user decides; all but what has the lowest priority, 4. The agent that
runs is asked, keeps it over restarts, and tells the push service. A policy that speaks of the app stands above it.
"""


def add_parser(verbs: Any) -> None:
    """Add this verb to the command's parser."""
    words = "say what the group policy says, where from, and what a payload would meet"
    parser = add_verb(verbs, "policy", words, DESCRIPTION, EPILOG)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    showing = _action(actions, "show", "say what counts, where from, and what a payload would meet", _SHOW)
    showing.add_argument("--app", metavar="A", help="what counts for this app, and what a payload of it would meet")
    kinds = [str(kind) for kind in WNS_TYPES]
    showing.add_argument("--type", choices=kinds, metavar="T", help=f"of this type: {', '.join(kinds)} (default: raw)")
    words = "with this priority, from 1, high, to 4, very low (default: the usual one of its type)"
    showing.add_argument("--priority", type=whole(1, 4), metavar="N", help=words)
    add_state_option(showing, "agent")
    checking = _action(actions, "check", "say what a file says, and what is wrong with it", _CHECK)
    checking.add_argument("file", metavar="FILE", type=path("a policy"), help="the file")
    exempting = _action(actions, "exempt", "let an app run in energy saver", _EXEMPT)
    exempting.add_argument("app", metavar="APP", help="the name of the app, such as contoso.mail")
    exempting.add_argument("--off", action="store_true", help="let it not do so any more")
    add_state_option(exempting, "agent")
    for each in (showing, checking, exempting):
        each.add_argument("--json", action="store_true", help="print one JSON object")


def _action(actions: Any, name: str, words: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=words, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Show, check or exempt."""
    return {"show": _show, "check": _check, "exempt": _exempt}[arguments.action](arguments)


def _show(arguments: argparse.Namespace) -> int:
    if arguments.app is None and (arguments.type is not None or arguments.priority is not None):
        raise InvalidArgument("--type and --priority are of a payload of an app; name it with --app")
    asked = {"app": arguments.app, "type": arguments.type, "priority": arguments.priority}
    PolicyQuestion.of(asked)
    answer = anyio.run(ask, Path(arguments.state), {"verb": "policy"} | asked)
    has_agent = answer is not None
    if answer is None:
        answer = _from_files(PolicyQuestion.of(asked))
    if arguments.json:
        show(json.dumps(answer | {"agent": has_agent}))
        return 0
    if not has_agent:
        words = "the files alone were looked at, as on a machine where all is well and the user has decided nothing"
        complain("tocsin policy", f"no agent runs on {arguments.state}: {words}")
    for words in (*answer["faults"], *answer["overruled"]):
        complain("tocsin policy", words)
    show("\n".join(_lines(answer)))
    return 0


def _from_files(question: PolicyQuestion) -> dict[str, Any]:
    """Answer as an agent would that knows nothing of the machine."""
    look, now = PolicyLook.at(policy_files()), datetime.now().astimezone()
    record = HostRecord(policy=look.policy, minute=now.hour * 60 + now.minute)
    return policy_report(record, question) | {"files": look.standing, "faults": list(look.faults)}


def _lines(answer: dict[str, Any]) -> list[str]:
    rows = [(row["setting"], setting_words(row), row["from"]) for row in answer["settings"]]
    lines = aligned(("setting", "value", "from"), rows)
    if answer["files"]:
        lines += ["", *aligned(("file", "standing"), list(answer["files"].items()))]
    if payload := answer.get("payload"):
        named = f"priority {payload['priority']} ({PRIORITY_NAMES[payload['priority']]})"
        lines += ["", harmless(f"A {payload['type']} payload of {payload['app']} with {named}: {payload['meets']}.")]
        gates = [(gate["gate"], gate["does"], gate["why"]) for gate in payload["gates"]]
        lines += aligned(("gate", "does", "why"), gates)
    return lines


def _check(arguments: argparse.Namespace) -> int:
    """Say what a file says; whom it has to belong to depends on where it will stand."""
    look = look_at(PolicyFile(arguments.file, None))
    if not look.is_there:
        raise NotFound(f"there is no file {arguments.file}")
    faults = [*look.written.faults] if look.fault is None else [look.fault]
    rows = [(str(key), value_words(value)) for key, value in sorted(look.written.rules.items())]
    if arguments.json:
        show(json.dumps({"settings": dict(rows), "faults": faults}))
        return 1 if faults else 0
    for fault in faults:
        complain("tocsin policy", f"{arguments.file}: {fault}")
    show("\n".join(aligned(("setting", "value"), rows)) if rows else "It says nothing.")
    return 1 if faults else 0


def _exempt(arguments: argparse.Namespace) -> int:
    state, wanted = Path(arguments.state), not arguments.off
    answer = anyio.run(ask, state, {"verb": "exempt", "app": arguments.app, "exempt": wanted})
    if answer is None:
        raise PlatformUnavailable(
            f"no agent runs on {state}; 'tocsin agent' starts one, or name its folder with --state"
        )
    if arguments.json:
        show(json.dumps(answer))
        return 0
    word = "is" if answer["exempt"] else "is not"
    if answer["exempt"] != wanted:
        complain("tocsin policy", "it is decided, and does not count: the policy of this machine says otherwise")
    show(harmless(f"{arguments.app} {word} exempt from energy saver"))
    return 0
