"""What the command may ask about users, tokens and calls: of a service that runs, and of a folder where none does."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.calling_service.dialling import agent_of
from tocsin.calling_service import calling_control
from tocsin.calling_service.calling_control import ask_or_perform_calling, perform_calling
from tocsin.calling_service.calling_server import open_calling_service
from tocsin.calling_service.calling_settings import CallingSettings
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.errors import IllegalCall, InvalidArgument, NotFound, PlatformUnavailable
from tocsin.protocol.messages.calling import StartCall
from tocsin.transport.control_socket import serving_control

HERE = CallingSettings.private()


async def ask(state: Path, verb: str, **fields: Any) -> dict[str, Any]:
    """Ask what concerns a state folder."""
    return await ask_or_perform_calling(state, {"verb": verb, **fields})


async def test_users_are_kept_without_a_service(tmp_path: Path) -> None:
    """Added with a token, listed by name, removed; the service that starts later knows them, and their tokens."""
    state = tmp_path / "state"
    added = await ask(state, "calling-user-add", name="bob", display_name="Bob Lee")
    assert added["raw_id"].startswith("8:acs:")
    teams = await ask(state, "calling-user-add", name="ann", kind="teams")
    assert teams["raw_id"].startswith("8:orgid:")
    listed = (await ask(state, "calling-user-list"))["users"]
    assert [(each["name"], each["display_name"], each["kind"]) for each in listed] == [
        ("ann", "ann", "teams"),
        ("bob", "Bob Lee", "acs"),
    ]
    assert "token" not in listed[0]
    removed = await ask(state, "calling-user-remove", name="ann")
    assert removed == {"removed": "ann", "raw_id": teams["raw_id"]}
    token = await ask(state, "calling-token", name="bob", lifetime=3_600)
    left = datetime.fromisoformat(token["expires"]) - datetime.now().astimezone()
    assert 3_500 < left.total_seconds() <= 3_600
    with state_folder(state) as folder:
        async with open_calling_service(folder, HERE) as service:
            for each in (added, token):
                assert service.users.verify(each["token"]).user.raw_id == added["raw_id"]


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        ({"verb": "calling-user-add", "name": ""}, InvalidArgument, "a user's name"),
        ({"verb": "calling-user-add", "name": "bob"}, IllegalCall, "there is a user 'bob' already"),
        ({"verb": "calling-user-add", "name": "kim", "kind": "x"}, InvalidArgument, "a user's kind is acs or teams"),
        ({"verb": "calling-user-add", "name": "kim", "display_name": "a\n"}, InvalidArgument, "a display name has"),
        ({"verb": "calling-user-remove", "name": "kim"}, NotFound, "'kim'; 'tocsin calling users' lists them"),
        ({"verb": "calling-token", "name": "kim"}, NotFound, "'tocsin calling users' lists them"),
        ({"verb": "calling-token", "name": "bob", "lifetime": 1}, InvalidArgument, "a token's lifetime in seconds"),
        ({"verb": "calling-token", "name": "bob", "lifetime": "1"}, InvalidArgument, "is a whole number of seconds"),
        ({"verb": "calling-caller", "name": "bob", "callee": "kim"}, NotFound, "there is no user 'kim'"),
        ({"verb": "calling-caller", "name": "bob"}, NotFound, "there is no user ''"),
        ({"verb": "add", "name": "contoso"}, PlatformUnavailable, "does not know how to 'add': name the folder"),
    ],
)
async def test_what_cannot_be_done_is_told(
    tmp_path: Path, request_: dict[str, Any], error: type[Exception], words: str
) -> None:
    """In a sentence, and changes nothing."""
    await ask(tmp_path, "calling-user-add", name="bob")
    with pytest.raises(error) as refused:
        await ask_or_perform_calling(tmp_path, request_)
    assert words in str(refused.value)
    assert [each["name"] for each in (await ask(tmp_path, "calling-user-list"))["users"]] == ["bob"]


async def test_a_folder_without_a_service_is_not_made_one(tmp_path: Path) -> None:
    """Only who adds a user makes it."""
    for verb in ("calling-user-list", "calling-calls", "calling-token", "calling-user-remove"):
        with pytest.raises(NotFound, match="there is no calling service's state in"):
            await ask(tmp_path / "absent", verb, name="ann")
    assert not (tmp_path / "absent").exists()  # a test


async def test_calls_are_listed_while_it_runs_and_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The open ones first, by whom and whom to, and why the others have ended; above a number, the earliest are left out."""
    with state_folder(tmp_path) as folder:
        async with (
            open_calling_service(folder, HERE) as service,
            agent_of(service, "bob"),
            agent_of(service, "ann") as ann,
        ):

            async def answer(request: dict[str, Any]) -> dict[str, Any]:
                return await perform_calling(service.users, service.calls, request)

            async with serving_control(folder, answer, "calling service"):
                bob = service.users.named("bob")
                assert bob is not None
                for call, callee in (("one", bob.raw_id), ("two", "8:acs:absent"), ("three", bob.raw_id)):
                    await ann.send(StartCall(1, call, callee, video=call == "three"))
                    await ann.report()
                calls = (await ask(folder, "calling-calls"))["calls"]
                assert [each["state"] for each in calls] == ["ringing", "ringing", "ended"]
                assert {each["call"] for each in calls[:2]} == {"one", "three"}
                assert {each["call"]: each["video"] for each in calls} == {"one": False, "two": False, "three": True}
                asked = await ask(folder, "calling-caller", name="kim", callee="bob")
                assert (asked["caller"]["name"], asked["callee"]["raw_id"]) == ("kim", bob.raw_id)
                assert service.users.verify(asked["caller"]["token"]).user.display_name == "kim"
                asked = await ask(folder, "calling-caller", name="kim", callee="8:acs:absent")
                assert asked["callee"] == {"name": None, "raw_id": "8:acs:absent", "display_name": ""}
    monkeypatch.setattr(calling_control, "MAX_CALLS", 2)
    later = await ask(tmp_path, "calling-calls")
    assert (len(later["calls"]), later["left_out"]) == (2, 1)
    monkeypatch.undo()
    (ended,) = [each for each in (await ask(tmp_path, "calling-calls"))["calls"] if each["state"] == "ended"]
    assert (ended["caller"]["name"], ended["callee"]["raw_id"]) == ("ann", "8:acs:absent")
    assert (ended["code"], ended["subcode"], ended["reason"]) == (
        480,
        10037,
        "The callee has no device that could ring.",
    )
    assert ended["ended"] is not None
