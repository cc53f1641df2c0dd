"""Users, and their tokens."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import anyio
import anyio.lowlevel
import jwt
import pytest

from tests.helpers import PATIENCE
from tests.persistence.faults import Fault, Faults
from tests.service.world import Clock
from tocsin.calling_service.calling_store import CallingStore, UserRow
from tocsin.calling_service.sqlite_calling_store import open_calling_store
from tocsin.calling_service.users import LONGEST_LIFE, SHORTEST_LIFE, Users
from tocsin.persistence import writer
from tocsin.protocol.calling.call_token import CallTokenKind
from tocsin.protocol.errors import IllegalCall, InvalidArgument, NotFound, StateUnavailable
from tocsin.protocol.hresult import HResult
from tocsin.protocol.kernel.durability import RecoveryPolicy


@pytest.fixture
async def users(calling_store: CallingStore, clock: Clock) -> Users:
    """Give the users of an empty store."""
    return await Users.load(calling_store, clock)


class TestUsers:
    """Who there is."""

    async def test_a_raw_id_names_the_service_and_the_user(self, users: Users) -> None:
        """Both by GUIDs: names of people are in none."""
        ann, bob = await users.add("ann", "Ann"), await users.add("bob")
        for user in (ann, bob):
            resource, _, guid = user.raw_id.removeprefix("8:acs:").partition("_")
            assert resource == users.resource == str(UUID(resource))
            assert guid == str(UUID(guid))
        assert ann.raw_id != bob.raw_id
        assert users.users() == [ann, bob]
        assert users.with_id(ann.raw_id) is users.named("ann") is ann
        assert users.with_id("8:acs:else") is users.named("eve") is None

    async def test_a_user_that_two_want_at_once_is_added_once(self, users: Users) -> None:
        """Each gets the same user: two calls from terminals have the same caller."""
        found: list[UserRow] = []

        async def want() -> None:
            found.append(await users.named_or_added("tocsin"))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(want)
        assert found == users.users() * 3

    async def test_a_user_of_teams_has_an_id_as_there(self, users: Users) -> None:
        """So that what an app does with such ids can be tried."""
        user = await users.add("ann", kind="teams")
        assert re.fullmatch("8:orgid:[0-9a-f-]{36}", user.raw_id)
        assert user.kind is CallTokenKind.TEAMS

    async def test_users_ids_and_tokens_outlive_the_service(self, tmp_path: Path, clock: Clock) -> None:
        """What was issued before a restart is good after it."""
        async with open_calling_store(tmp_path) as store:
            before = await Users.load(store, clock)
            user = await before.add("ann", "Ann", "teams")
            token, expires = before.issue_token("ann")
        async with open_calling_store(tmp_path) as store:
            after = await Users.load(store, clock)
            assert after.users() == [user]
            assert after.resource == before.resource
            assert after.verify(token).user == user
            assert after.verify(token).expires == expires

    async def test_a_name_is_one_users(self, users: Users) -> None:
        """Adding it again is refused, and changes nothing."""
        ann = await users.add("ann")
        with pytest.raises(IllegalCall, match="there is a user 'ann' already"):
            await users.add("ann", "Another")
        assert users.users() == [ann]

    @pytest.mark.parametrize(
        ("name", "display_name", "kind", "words"),
        [
            ("", "", "acs", "a user's name has 1 to 128"),
            ("a\nb", "", "acs", "a user's name has 1 to 128"),
            ("ann", "x" * 257, "acs", "a display name has up to 256"),
            ("ann", "\x1b[2J", "acs", "a display name has up to 256"),
            ("ann", "", "skype", "a user's kind is acs or teams, not 'skype'"),
        ],
    )
    async def test_what_cannot_be_right_is_refused(
        self, users: Users, name: str, display_name: str, kind: str, words: str
    ) -> None:
        """In a sentence that says what would be."""
        with pytest.raises(InvalidArgument, match=words):
            await users.add(name, display_name, kind)
        assert users.users() == []

    async def test_there_are_so_many_at_most(self, calling_store: CallingStore, clock: Clock) -> None:
        """One that is removed makes room."""
        users = await Users.load(calling_store, clock, most=2)
        for name in ("ann", "bob"):
            await users.add(name)
        with pytest.raises(IllegalCall, match="there are 2 users already"):
            await users.add("cid")
        await users.remove("ann")
        await users.add("cid")

    async def test_a_removed_user_is_gone_with_all_tokens(self, users: Users, calling_store: CallingStore) -> None:
        """Also where another user gets the name."""
        ann = await users.add("ann")
        token, _ = users.issue_token("ann")
        assert await users.remove("ann") == ann
        assert await calling_store.users() == users.users() == []
        await users.add("ann")
        with pytest.raises(InvalidArgument, match="the user of the token was removed"):
            users.verify(token)
        with pytest.raises(NotFound, match="there is no user 'bob'"):
            await users.remove("bob")

    async def test_all_of_a_user_ends_when_tokens_are_good_for_nothing(self, users: Users) -> None:
        """So no connection comes back in between; where that fails, the user is still there, and is removed the next time."""
        ann = await users.add("ann")
        token, _ = users.issue_token("ann")
        ended: list[UserRow] = []

        async def end(user: UserRow) -> None:
            with pytest.raises(InvalidArgument):
                users.verify(token)
            ended.append(user)
            if len(ended) == 1:
                raise StateUnavailable("the disk is full")

        users.end_all_of = end
        with pytest.raises(StateUnavailable):
            await users.remove("ann")
        assert users.verify(token).user == ann
        await users.remove("ann")
        assert ended == [ann, ann]


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
async def test_what_is_in_doubt_can_be_asked_again(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """A user that was added or removed although the command was told that it failed is there once, or not at all."""
    monkeypatch.setattr(writer, "RecoveryPolicy", lambda: RecoveryPolicy(first=0.001, longest=0.002))
    faults = Faults(monkeypatch)
    async with open_calling_store(tmp_path, patience=0.3) as store:
        users = await Users.load(store, clock)

        async def fails_once(change: Callable[[], Awaitable[UserRow]]) -> UserRow:
            faults.coming.append(fault)
            faults.gone = True
            with pytest.raises(StateUnavailable) as failure:
                await change()
            assert failure.value.in_doubt
            faults.gone = False
            with anyio.fail_after(PATIENCE):
                while store.fault:
                    await anyio.lowlevel.checkpoint()
            return await change()

        ann = await fails_once(lambda: users.add("ann"))
        assert users.users() == await store.users() == [ann]
        await fails_once(lambda: users.remove("ann"))
        assert users.users() == await store.users() == []


class TestTokens:
    """What an agent shows."""

    async def test_a_token_says_whose_it_is_and_how_long(self, users: Users, clock: Clock) -> None:
        """The service reads it by the signature, an agent without."""
        ann = await users.add("ann")
        token, expires = users.issue_token("ann", SHORTEST_LIFE)
        assert expires == clock.time + SHORTEST_LIFE
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims.pop("jti")
        assert claims == {"sub": ann.raw_id, "kind": "acs", "iat": int(clock.time), "exp": int(expires)}
        verified = users.verify(token)
        assert (verified.user, verified.expires) == (ann, expires)
        assert users.issue_token("ann") != users.issue_token("ann"), "no two are the same"

    async def test_it_expires(self, users: Users, clock: Clock) -> None:
        """On the service's clock, not on the wall's."""
        await users.add("ann")
        token, expires = users.issue_token("ann")
        clock.time = expires - 0.1
        users.verify(token)
        clock.time = expires
        with pytest.raises(InvalidArgument, match="the token has expired") as refused:
            users.verify(token)
        assert refused.value.hresult == HResult.E_INVALIDARG

    @pytest.mark.parametrize("lifetime", [0, SHORTEST_LIFE - 1, LONGEST_LIFE + 1])
    async def test_its_life_has_limits(self, users: Users, lifetime: int) -> None:
        """From an hour to a day."""
        await users.add("ann")
        with pytest.raises(InvalidArgument, match="a token's lifetime in seconds must be from 3600 to 86400"):
            users.issue_token("ann", lifetime)

    async def test_only_a_user_gets_one(self, users: Users) -> None:
        """It is named by its name."""
        with pytest.raises(NotFound, match="there is no user 'ann'"):
            users.issue_token("ann")

    async def test_forgeries_are_refused_without_being_shown(self, users: Users, clock: Clock) -> None:
        """Signed by another key, by none, changed, cut, too long, without an end, nested too deep, or no token at all."""
        ann = await users.add("ann")
        token, expires = users.issue_token("ann")
        claims = {"sub": ann.raw_id, "exp": expires}
        head, body, signature = token.split(".")
        deep = base64.urlsafe_b64encode(b"[" * 5_000).decode().rstrip("=")
        forged = [
            *("", ".", "..", "token", "\ud800", "é.é.é", f"{token}x" * 100),
            *(token[:-2], f"{head}.{body}.", f"{head}.{body}x.{signature}", f"{deep}.{body}.{signature}"),
            jwt.encode(claims, b"k" * 32, algorithm="HS256"),
            jwt.encode(claims, "", algorithm="none"),
            jwt.encode({"sub": ann.raw_id}, users._key, algorithm="HS256"),
            jwt.encode({"exp": expires}, users._key, algorithm="HS256"),
        ]
        for each in forged:
            with pytest.raises(InvalidArgument, match="none that this calling service has signed") as refused:
                users.verify(each)
            assert refused.value.hresult == HResult.E_INVALIDARG
            assert len(each) < 8 or each[:8] not in str(refused.value)
        assert clock.time < expires
        with pytest.raises(InvalidArgument, match="a token must be text"):
            users.verify(b"token")  # type: ignore[arg-type]

    async def test_neither_tokens_nor_the_key_are_shown(self, users: Users, tmp_path: Path) -> None:
        """No token is kept either: the file has none."""
        await users.add("ann")
        token, _ = users.issue_token("ann")
        assert users._key.hex() not in repr(users)
        assert token not in repr(users.verify(token))
        for file in tmp_path.iterdir():  # noqa: ASYNC240  # of a test
            assert token.rpartition(".")[2].encode() not in file.read_bytes()

    async def test_services_do_not_take_each_others(self, users: Users, tmp_path: Path, clock: Clock) -> None:
        """Each has a key of its own."""
        await users.add("ann")
        (tmp_path / "other").mkdir()
        async with open_calling_store(tmp_path / "other") as store:
            others = await Users.load(store, clock)
            await others.add("ann")
            with pytest.raises(InvalidArgument):
                others.verify(users.issue_token("ann")[0])
