"""What the ``tocsin`` command may ask a calling service: over its control socket, or done on the store where none runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum, unique
from pathlib import Path
from typing import Any, Final

from tocsin.calling_service.calling_clock import steadily
from tocsin.calling_service.calling_store import UserRow
from tocsin.calling_service.sqlite_calling_store import has_calling_store, open_calling_store
from tocsin.calling_service.users import LONGEST_LIFE, Users, read_kind
from tocsin.persistence.state_folder import state_folder_at_rest
from tocsin.protocol.calling.call_at_service import Phase
from tocsin.protocol.calling.end_reason import end_reason
from tocsin.protocol.calling.switchboard_rows import CallRow, Side
from tocsin.protocol.errors import InvalidArgument, NotFound, PlatformUnavailable
from tocsin.protocol.text import quoted
from tocsin.transport.control_socket import Answer, ask, text_of

MAX_CALLS: Final = 1_000
"""Calls that are listed at most; the open ones are all among them, as long as they are fewer."""


@unique
class CallingVerb(StrEnum):
    """What may be asked."""

    ADD = "calling-user-add"
    LIST = "calling-user-list"
    REMOVE = "calling-user-remove"
    TOKEN = "calling-token"  # noqa: S105  # a verb
    CALLER = "calling-caller"
    """A token for a user that calls, made where it is missing, and whom it calls."""
    CALLS = "calling-calls"


Load = Callable[[], Awaitable[Sequence[CallRow]]]


async def perform_calling(users: Users, load: Load, request: Answer) -> Answer:
    """Do what is asked about users, tokens and calls.

    :param load: reads the calls that are kept.
    :raises PushError: it cannot be done; the sentence says why.
    """
    name, verb = text_of(request, "name"), text_of(request, "verb")
    match verb:
        case CallingVerb.ADD:
            kind = read_kind(text_of(request, "kind") or "acs")
            user = await users.add(name, text_of(request, "display_name"), kind)
            return _described(user) | _token(users, user, LONGEST_LIFE)
        case CallingVerb.LIST:
            return {"users": [_described(user) for user in users.users()]}
        case CallingVerb.REMOVE:
            return {"removed": name, "raw_id": (await users.remove(_known(users, name).name)).raw_id}
        case CallingVerb.TOKEN:
            return _described(_known(users, name)) | _token(users, _known(users, name), _lifetime(request))
        case CallingVerb.CALLER:
            callee = _callee(users, text_of(request, "callee"))
            caller = await users.named_or_added(name)
            return {"caller": _described(caller) | _token(users, caller, LONGEST_LIFE), "callee": callee}
        case CallingVerb.CALLS:
            return _calls(users, await load())
        case other:
            raise PlatformUnavailable(
                f"the calling service that runs on this folder does not know how to {quoted(other)}: name the folder of one that does"
                " with --state"
            )


async def ask_or_perform_calling(state: Path, request: Answer) -> Answer:
    """Ask the calling service that runs on a state folder, or do it on the store where none does.

    :raises NotFound: there is no store, and the request is not one that makes one.
    :raises PushError: it cannot be done; the sentence says why.
    """
    done = await ask(state, request)
    if done is not None:
        return done
    if text_of(request, "verb") != CallingVerb.ADD and not await has_calling_store(state):
        raise NotFound(f"there is no calling service's state in {state}; name its folder with --state")
    with state_folder_at_rest(state) as folder:
        async with open_calling_store(folder) as store:

            async def load() -> Sequence[CallRow]:
                return (await store.load()).calls

            return await perform_calling(await Users.load(store, steadily()), load, request)


def _known(users: Users, name: str) -> UserRow:
    user = users.named(name)
    if user is None:
        raise NotFound(f"there is no user {quoted(name)}; 'tocsin calling users' lists them, 'users add' adds one")
    return user


def _callee(users: Users, text: str) -> Answer:
    """Return whom a name or a raw id means; a raw id may be of a user that there is not."""
    user = users.with_id(text)
    if user is None and text.startswith(("8:", "4:", "28:")):
        return {"raw_id": text, "name": None, "display_name": ""}
    return _described(user or _known(users, text))


def _described(user: UserRow) -> Answer:
    return {
        "name": user.name,
        "raw_id": user.raw_id,
        "display_name": user.display_name,
        "kind": user.kind.value,
        "created": _moment(user.created),
    }


def _token(users: Users, user: UserRow, lifetime: int) -> Answer:
    token, expires = users.issue_token(user.name, lifetime)
    return {"token": token, "expires": _moment(expires)}


def _lifetime(request: Answer) -> int:
    lifetime = request.get("lifetime", LONGEST_LIFE)
    if type(lifetime) is not int:
        raise InvalidArgument(f"a token's lifetime is a whole number of seconds, not {quoted(lifetime)}")
    return lifetime


def _calls(users: Users, rows: Sequence[CallRow]) -> Answer:
    """Describe calls: the open ones first, then those that ended last."""
    ordered = sorted(rows, key=lambda row: (row.phase is Phase.ENDED, -(row.ended or row.began)))
    shown = [_call(users, row) for row in ordered[:MAX_CALLS]]
    return {"calls": shown, "left_out": len(ordered) - len(shown)}


def _call(users: Users, row: CallRow) -> Answer:
    fields: dict[str, Any] = {
        "call": row.call,
        "state": row.phase.name.lower(),
        "caller": _side(users, row.caller),
        "callee": _side(users, row.callee),
        "video": row.caller.video,
        "began": _moment(row.began),
        "answered": _moment(row.answered) if row.answered else None,
        "ended": _moment(row.ended) if row.ended else None,
        "since": _moment(row.ended or row.answered or row.began),
    }
    if row.phase is not Phase.ENDED:
        return fields | {"code": None, "subcode": None, "reason": None}
    reason = end_reason(row.code, row.subcode)
    return fields | {"code": row.code, "subcode": row.subcode, "reason": reason.meaning}


def _side(users: Users, side: Side) -> Answer:
    user = users.with_id(side.user)
    return {"raw_id": side.user, "name": None if user is None else user.name, "display_name": side.name}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
