"""The tags of registrations and installations: what one may be, how a list of them is written, and those that a hub gives itself.

Tags are compared character by character, as the documents have them: ``News`` and ``news`` are two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from tocsin.protocol.hub.descriptions import MAX_TAGS
from tocsin.protocol.hub.hub_refused import HubReason, HubRefused
from tocsin.protocol.text import quoted

MAX_TAG: Final = 120
"""Characters of a tag at most."""

MAX_SPECIAL_VALUE: Final = 256
"""Characters between the braces of a special tag at most."""

MAX_TAG_LIST: Final = 8_000
"""Characters of a list of tags at most, as the real one has it."""

TAG_CHARACTERS: Final = r"[-_@#.:\w]"
"""A character of a tag, as a regular expression."""

SPECIAL_TAG: Final = r"\$(?:(?P<installation>InstallationId)|UserId):\{(?P<value>[^}]*)\}"
"""A special tag, as a regular expression that is matched in any case."""

ALLOWED: Final = f"A tag has 1 to {MAX_TAG} characters: letters, digits and _ @ # . : - are allowed."
"""The sentence that says what would be right."""

_TAG: Final = re.compile(TAG_CHARACTERS + "+")
_SPECIAL: Final = re.compile(SPECIAL_TAG, re.IGNORECASE)
_LISTED: Final = re.compile(rf"\s*({SPECIAL_TAG}\s*(?=,|\Z)|[^,]*)(?:,|\Z)", re.IGNORECASE)


def installation_tag(installation: str) -> str:
    """Return the tag that a hub gives what an installation stands for.

    :raises HubRefused: 400: the id cannot stand in it.
    """
    return _special("InstallationId", installation)


def user_tag(user: str) -> str:
    """Return the tag that a hub gives what belongs to a user; errors as of :func:`installation_tag`."""
    return _special("UserId", user)


def check_tag(tag: str) -> str:
    """Return a tag that a client gives to what it registers.

    :raises HubRefused: 400: it is no tag, or begins with ``$``, as the hub's own do.
    """
    if tag.startswith("$"):
        raise HubRefused(
            HubReason.WRONG_TAG,
            f"The tag {quoted(tag)} begins with $: such tags are given by the hub itself. {ALLOWED}",
        )
    if len(tag) > MAX_TAG:
        raise HubRefused(HubReason.WRONG_TAG, f"The tag {quoted(tag)} has {len(tag)} characters. {ALLOWED}")
    if not _TAG.fullmatch(tag):
        raise HubRefused(HubReason.WRONG_TAG, f"{quoted(tag)} is no tag. {ALLOWED}")
    return tag


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags that a client gives, each once, in their order.

    :raises HubRefused: 400: one of them is no tag, as :func:`check_tag` says, or they are more than ``MAX_TAGS``.
    """
    return _bounded(check_tag(tag) for tag in tags)


def read_tags(text: str, *, special: bool = False) -> tuple[str, ...]:
    """Read a list such as ``news,sports``, with white space around the tags or without; the tags as of :func:`check_tags`.

    :param special: whether special tags may be among them, one of each kind, as in what a hub answers.
    :raises HubRefused: 400: as of :func:`check_tags`, or it has more than ``MAX_TAG_LIST`` characters.
    """
    if len(text) > MAX_TAG_LIST:
        raise HubRefused(
            HubReason.WRONG_TAG, f"The list of tags has {len(text)} characters; {MAX_TAG_LIST} are read at most."
        )
    if not text.strip():
        return ()
    return _bounded(check_special(each) if special and each[:1] == "$" else check_tag(each) for each in _split(text))


def check_special(tag: str) -> str:
    """Return a special tag as a hub writes it; the case of its name does not matter.

    :raises HubRefused: 400: it is none.
    """
    found = _SPECIAL.fullmatch(tag)
    if found is None:
        raise HubRefused(
            HubReason.WRONG_TAG,
            f"{quoted(tag)} is no special tag: these are $InstallationId:{{...}} and $UserId:{{...}}, with braces.",
        )
    return (installation_tag if found["installation"] else user_tag)(found["value"])


def _special(name: str, value: str) -> str:
    if not value or len(value) > MAX_SPECIAL_VALUE or "}" in value:
        raise HubRefused(
            HubReason.WRONG_TAG,
            f"{quoted(value)} cannot stand in the tag ${name}:{{...}}:"
            f" 1 to {MAX_SPECIAL_VALUE} characters other than }} are allowed.",
        )
    return f"${name}:{{{value}}}"


def _split(text: str) -> Iterator[str]:
    end = 0
    while True:
        found = _LISTED.match(text, end)
        assert found is not None  # noqa: S101  # it matches any text
        yield found[1].strip()
        end = found.end()
        if not found[0].endswith(","):
            return


def _bounded(tags: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    kinds = set[str]()
    for tag in tags:
        if tag in found:
            continue
        if tag.startswith("$"):
            kind = tag.partition(":")[0]
            if kind in kinds:
                raise HubRefused(
                    HubReason.WRONG_TAG, f"There are two tags {kind}:{{...}}; one of each kind is allowed."
                )
            kinds.add(kind)
        found[tag] = None
        if len(found) > MAX_TAGS:
            raise HubRefused(
                HubReason.WRONG_TAG, f"There are more than {MAX_TAGS} tags, which is the most that is allowed."
            )
    return tuple(found)
