"""What is said to who asks for what cannot be done: to a person in a sentence that helps, to a script as an object."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.processes import call, run
from tocsin.cli import VERBS
from tocsin.cli.performing import command_parser

FIELDS = {"event", "command", "kind", "sentence", "hresult"}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("lisen", "tocsin: error: argument VERB: there is no 'lisen'; did you mean 'listen'?"),
        ("sned x", "tocsin: error: argument VERB: there is no 'sned'; did you mean 'send'?"),
        ("deadletters", "tocsin: error: argument VERB: there is no 'deadletters'; did you mean 'dead-letters'?"),
        ("app lst", "tocsin app: error: argument ACTION: there is no 'lst'; did you mean 'list'?"),
        ("send u b --type tost", "tocsin send: error: argument --type: there is no 'tost'; did you mean 'toast'?"),
        ("send u b --tgas 3", "tocsin send: error: unrecognized arguments: --tgas 3; did you mean --tag?"),
        ("send u b --client_id=3", "tocsin send: error: unrecognized arguments: --client_id=3; did you mean --client-id?"),
        ("serve --chanel-rate 5", "tocsin serve: error: unrecognized arguments: --chanel-rate 5; did you mean --channel-rate?"),
        ("app add a --sate d", "tocsin app add: error: unrecognized arguments: --sate d; did you mean --state?"),
        ("send u b more", "tocsin send: error: unrecognized arguments: more"),
        ("--state d status", "tocsin: error: --state is an option of the verbs, so it stands behind the verb"),
        ("status --xyz", "tocsin status: error: unrecognized arguments: --xyz"),
    ],
)  # fmt: skip
def test_what_was_meant_is_asked(line: str, sentence: str) -> None:
    """Where something is alike; the usage is shown above, in a few lines, and the exit code is 2."""
    code, output, errors = call(*line.split())
    assert (code, output) == (2, "")
    *usage, last = errors.splitlines()
    assert last == sentence
    assert usage[0].startswith("usage: tocsin")
    assert len(usage) < 8


def test_what_is_like_nothing_is_told_what_there_is() -> None:
    """Each verb by its name."""
    code, _, errors = call("xyzzy")
    assert code == 2
    assert all(f"'{verb}'" in errors or f" {verb}" in errors for verb in VERBS)


REFUSED = [
    (["status", "--state", "DIR"], "NotFound", "0x80070490"),
    (["send", "ftp://h/", "x", "--client-id", "i", "--client-secret", "s"], "InvalidArgument", "0x80070057"),
    (["send", "http://127.0.0.1:1/w/?token=x", "x", "--client-id", "i", "--client-secret", "s", "--retries", "0"],
     "ServiceUnavailable", "0x800706BA"),
    (["app", "list", "--state", "DIR"], "NotFound", "0x80070490"),
    (["serve", "--port", "x"], "InvalidArgument", "0x80070057"),
    (["listen", "--port", "x"], "WrongUsage", "0x80070057"),
    (["lisen"], "WrongUsage", "0x80070057"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "kind", "code"), REFUSED)
def test_a_script_gets_one_object(tmp_path: Path, words: list[str], kind: str, code: str) -> None:
    """On standard error, in one line of ASCII, with the exit code that a person's shell gets, and the same sentence."""
    filled = [str(tmp_path / "gone") if word == "DIR" else word for word in words]
    plain, _, sentence = call(*filled)
    ended, _, errors = call(*filled, "--json")
    assert ended == plain > 0
    assert errors.isascii()
    assert errors.count("\n") == 1
    told = json.loads(errors)
    assert set(told) == FIELDS
    assert (told["event"], told["kind"], told["hresult"]) == ("error", kind, code)
    assert sentence.endswith(f"{told['sentence']}\n")
    assert told["command"] in sentence


async def test_the_same_of_a_process(tmp_path: Path) -> None:
    """Standard output stays empty."""
    code, output, errors = await run("status", "--json", "--state", str(tmp_path))
    assert (code, output, json.loads(errors)["kind"]) == (1, "", "NotFound")


def test_every_verb_has_it() -> None:
    """Each takes --json, or each of its actions does; but for the one that prints a script."""
    (verbs,) = [action.choices for action in command_parser()._actions if action.dest == "verb"]
    assert isinstance(verbs, dict)
    for verb, parser in verbs.items():
        if verb == "completion":
            continue
        inner = [action.choices for action in parser._actions if action.dest == "action"]
        each = [parser] if not inner or "--json" in parser._option_string_actions else list(inner[0].values())
        for one in each:
            assert "--json" in one._option_string_actions, (verb, one.prog)
