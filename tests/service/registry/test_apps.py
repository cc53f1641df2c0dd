"""App registrations and their secrets."""

from __future__ import annotations

from uuid import UUID

import anyio
import pytest

from tests.service.registry.conftest import Place
from tests.service.world import Clock
from tocsin.protocol.errors import InvalidArgument, NotFound
from tocsin.service.registry.apps import MAX_SECRETS, SECRET_OVERLAP, AppRegistration, Apps, SecretVerdict, parse_guid
from tocsin.service.registry.service_store import ServiceStore


async def test_ids_are_guids_and_differ(registrations: Apps) -> None:
    """Client id and remote id are GUIDs of their own, for each app others."""
    one, two = await registrations.register("one"), await registrations.register("two")
    ids = [one.client_id, one.remote_id, two.client_id, two.remote_id]
    assert len(set(ids)) == 4
    assert all(str(UUID(each)) == each for each in ids)


async def test_a_name_keeps_its_ids(registrations: Apps) -> None:
    """Registering again gives another secret for the same ids."""
    first, again = await registrations.register("app"), await registrations.register("app")
    assert (first.client_id, first.remote_id) == (again.client_id, again.remote_id)
    assert first.client_secret != again.client_secret


async def test_a_name_registered_twice_at_once_is_one_app(registrations: Apps) -> None:
    """Two callers at the same time get the same ids, and both secrets are good."""
    apps = []

    async def register() -> None:
        apps.append(await registrations.register("app"))

    async with anyio.create_task_group() as group:
        group.start_soon(register)
        group.start_soon(register)
    assert apps[0].client_id == apps[1].client_id
    for app in apps:
        assert registrations.verify(app.client_id, app.client_secret) is SecretVerdict.VALID


async def test_registrations_outlive_the_process(store: ServiceStore, clock: Clock) -> None:
    """What was registered is known to the next process, secrets included."""
    app = await (await Apps.load(store, clock)).register("app")
    later = await Apps.load(store, clock)
    assert later.verify(app.client_id, app.client_secret) is SecretVerdict.VALID
    assert (await later.register("app")).remote_id == app.remote_id


async def test_the_secret_is_not_stored(registrations: Apps, place: Place) -> None:
    """Neither the files nor a printed registration show the secret."""
    app = await registrations.register("app")
    assert app.client_id.encode() in await place.contents()
    assert app.client_secret.encode() not in await place.contents()
    assert app.client_secret not in repr(app)


async def test_a_secret_can_be_typed_anywhere(registrations: Apps) -> None:
    """It has letters and digits only: nothing to quote, and no dash that a command line takes for an option."""
    for _ in range(8):
        assert (await registrations.register("contoso.mail")).client_secret.isalnum()


async def test_a_wrong_secret_and_an_unknown_app_are_told_apart(registrations: Apps) -> None:
    """The verdict says what is wrong."""
    app = await registrations.register("app")
    assert registrations.verify(app.client_id, "x") is SecretVerdict.INVALID_SECRET
    assert registrations.verify(app.client_id, "") is SecretVerdict.INVALID_SECRET
    assert registrations.verify("x", app.client_secret) is SecretVerdict.UNKNOWN_APP


async def test_a_secret_is_good_for_its_own_app_only(registrations: Apps) -> None:
    """One app's secret is worth nothing to another."""
    one, two = await registrations.register("one"), await registrations.register("two")
    assert registrations.verify(one.client_id, two.client_secret) is SecretVerdict.INVALID_SECRET


async def test_an_older_secret_stays_good_for_a_day(registrations: Apps, clock: Clock) -> None:
    """Secrets overlap by 24 hours; the newest does not expire."""
    old = await registrations.register("app")
    clock.time += 10 * SECRET_OVERLAP
    new = await registrations.register("app")
    clock.time += SECRET_OVERLAP - 1
    assert registrations.verify(old.client_id, old.client_secret) is SecretVerdict.VALID
    clock.time += 1
    assert registrations.verify(old.client_id, old.client_secret) is SecretVerdict.INVALID_SECRET
    assert registrations.verify(new.client_id, new.client_secret) is SecretVerdict.VALID


async def test_a_later_registration_does_not_prolong_an_older_secret(registrations: Apps, clock: Clock) -> None:
    """The day counts from the first newer secret on."""
    old = await registrations.register("app")
    await registrations.register("app")
    clock.time += SECRET_OVERLAP - 1
    await registrations.register("app")
    clock.time += 1
    assert registrations.verify(old.client_id, old.client_secret) is SecretVerdict.INVALID_SECRET


async def test_no_more_than_eight_secrets_are_kept(store: ServiceStore, registrations: Apps) -> None:
    """The oldest secret gives way to the ninth."""
    apps = [await registrations.register("app") for _ in range(MAX_SECRETS + 1)]
    verdicts = [registrations.verify(app.client_id, app.client_secret) for app in apps]
    assert verdicts == [SecretVerdict.INVALID_SECRET] + [SecretVerdict.VALID] * MAX_SECRETS
    assert len(await store.secrets()) == MAX_SECRETS


@pytest.mark.parametrize("name", ["", "  ", "a" * 129, "a\nb", "\x00"])
async def test_a_name_must_be_printable_and_short(registrations: Apps, name: str) -> None:
    """Names that cannot be shown are refused."""
    with pytest.raises(InvalidArgument, match="an app's name has 1 to 128 printable characters"):
        await registrations.register(name)


async def test_a_removed_app_is_unknown(store: ServiceStore, registrations: Apps, clock: Clock) -> None:
    """Its ids lead nowhere, now and after a restart, and its name gets new ones."""
    app = await registrations.register("app")
    await registrations.remove("app")
    for each in (registrations, await Apps.load(store, clock)):
        assert not each.known(app.client_id)
        assert each.client_of(app.remote_id) is None
        assert each.verify(app.client_id, app.client_secret) is SecretVerdict.UNKNOWN_APP
    assert (await registrations.register("app")).client_id != app.client_id


async def test_removing_an_unknown_app_is_an_error(registrations: Apps) -> None:
    """The error names the app."""
    with pytest.raises(NotFound, match="no app is registered as 'app'"):
        await registrations.remove("app")


def test_guids_have_one_spelling() -> None:
    """Braces, case and hyphens make no difference; the null GUID and other text are none."""
    guid = "08eef3c0-4ecf-4128-b34e-9d6aa061b324"
    assert parse_guid(guid) == parse_guid(f"{{{guid.upper()}}}") == parse_guid(guid.replace("-", "")) == guid
    assert parse_guid("00000000-0000-0000-0000-000000000000") is None
    assert parse_guid("") is None
    assert parse_guid("app") is None


async def test_a_secret_that_was_kept_is_recalled(registrations: Apps) -> None:
    """As long as it is the newest of that app; no other is, not even one that is good for a day still."""
    app = await registrations.register("app")
    assert registrations.recall("app", app.client_secret) == app
    assert registrations.recall("other", app.client_secret) is None
    assert registrations.recall("app", "wrong") is None
    newer = await registrations.rotate("app")
    assert registrations.recall("app", app.client_secret) is None
    assert registrations.recall("app", newer.client_secret) == newer


async def test_an_app_is_adopted_with_what_it_has(registrations: Apps, store: ServiceStore, clock: Clock) -> None:
    """Its ids and its secret are those that its caller knows; whatever secret it was given since is good no more."""
    app = AppRegistration(
        "app", "de7e10b0-0000-4000-8000-00000000c11e", "known", "de7e10b0-0000-4000-8000-000000000de7"
    )
    await registrations.adopt(app)
    newer = await registrations.rotate("app")
    await registrations.adopt(app)
    for known in (registrations, await Apps.load(store, clock)):
        assert known.verify(app.client_id, "known") is SecretVerdict.VALID
        assert known.verify(app.client_id, newer.client_secret) is SecretVerdict.INVALID_SECRET
        assert known.client_of(app.remote_id) == app.client_id
