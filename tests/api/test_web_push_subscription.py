"""Push subscriptions of an app: what is encrypted for it by any sender of the web comes as plaintext."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import anyio
import pytest
from aiohttp import ClientSession

import tocsin
from tests.helpers import PATIENCE
from tests.world import dead_rows
from tocsin.persistence.sqlite_store import read_sqlite
from tocsin.protocol.webpush import base64url
from tocsin.protocol.webpush.envelope import Envelope
from tocsin.service.server import open_service
from tocsin.webpush.message_encryption import encrypt
from tocsin.webpush.vapid_keys import VapidKey

KEY = VapidKey.generate().public_key


async def post(subscription: tocsin.WebPushSubscription, plaintext: bytes, coding: str = "aes128gcm") -> int:
    """Push as any library of senders does; return the status."""
    said = json.loads(json.dumps(subscription.as_json()))
    p256dh, auth = (base64url.decode(said["keys"][name]) for name in ("p256dh", "auth"))
    sealed = encrypt(p256dh, auth, plaintext, coding) if plaintext else Envelope("", "", "", b"")
    headers = {"TTL": "60", "Content-Encoding": sealed.coding, "Encryption": sealed.encryption}
    headers |= {"Crypto-Key": sealed.crypto_key}
    async with (
        ClientSession() as http,
        http.post(said["endpoint"], data=sealed.body, headers={k: v for k, v in headers.items() if v}) as response,
    ):
        return response.status


async def test_a_push_comes_as_plaintext(tmp_path: Path) -> None:
    """In both codings, from the empty one to the largest; and the app is asked as with every raw payload."""
    async with tocsin.embedded("contoso.mail", tmp_path, sensors=()) as manager:
        subscription = await manager.create_web_push_subscription()
        bodies = [b"", b"x", b"y" * 3_993]
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for coding in ("aes128gcm", "aesgcm"):
                    for body in bodies:
                        tasks.start_soon(post, subscription, body, coding)
                got = set()
                async for args in subscription.payloads():
                    assert args.type is tocsin.NotificationType.RAW
                    got.add((args.payload, args.id))
                    if len(got) == 2 * len(bodies):
                        break
        assert sorted(payload for payload, _ in got) == sorted(bodies * 2)


async def test_it_is_the_same_after_a_restart_and_what_was_pushed_meanwhile_comes(tmp_path: Path) -> None:
    """Endpoint and keys are those of before, one for each key of a sender."""
    app = tmp_path / "app"
    (tmp_path / "service").mkdir()
    async with open_service(tmp_path / "service") as service:
        async with tocsin.embedded("contoso.mail", app, service.url, sensors=()) as manager:
            subscription = await manager.create_web_push_subscription()
            for_one = await manager.create_web_push_subscription(KEY)
            again = await manager.create_web_push_subscription(base64url.encode(KEY))
            assert again.as_json() == for_one.as_json() != subscription.as_json()
        assert await post(subscription, b"while away") == 201
        assert await post(for_one, b"from a stranger") == 401
        async with tocsin.embedded("contoso.mail", app, service.url, sensors=()) as manager:
            after = await manager.create_web_push_subscription()
            assert after.as_json() == subscription.as_json()
            with anyio.fail_after(PATIENCE):
                async for args in after.payloads():
                    assert args.text == "while away"
                    break


async def test_what_cannot_be_read_is_a_dead_letter_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The sender was told that it has come, as with any; why it was not handled is kept with it."""
    other = VapidKey.generate().public_key
    async with tocsin.embedded("contoso.mail", tmp_path, sensors=()) as manager:
        subscription = await manager.create_web_push_subscription()
        wrong = encrypt(other, subscription.auth, b"for another").body
        headers = {"TTL": "60", "Content-Encoding": "aes128gcm"}
        with caplog.at_level(logging.WARNING):
            async with ClientSession() as http:
                for _ in range(2):
                    async with http.post(subscription.endpoint, data=wrong, headers=headers) as response:
                        assert response.status == 201
        assert [record.message for record in caplog.records if "cannot be read" in record.message][1:] == []
        assert await post(subscription, b"good") == 201
        with anyio.fail_after(PATIENCE):
            async for args in subscription.payloads():
                assert args.text == "good"
                break
    rows = await dead_rows(tmp_path)
    assert [(reason, bool(detail)) for _, reason, detail in rows] == [("unreadable", True)] * 2


@pytest.mark.parametrize("key", [b"", b"\4" + bytes(63), "not base64!", base64url.encode(b"\2" + bytes(64)), 5])
async def test_a_key_that_is_none_is_refused(tmp_path: Path, key: bytes | str) -> None:
    """By its form at once; one of the right form that is no point, by the service."""
    async with tocsin.embedded("contoso.mail", tmp_path, sensors=()) as manager:
        with pytest.raises(tocsin.InvalidArgument, match="application server key"):
            await manager.create_web_push_subscription(key)
        with pytest.raises(tocsin.ChannelNotGranted, match="point on P-256"):
            await manager.create_web_push_subscription(b"\4" + bytes(64))


async def test_a_platform_without_cryptography_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install is in the words; nothing is asked of the service."""
    monkeypatch.setattr(
        "tocsin.actors.channel_requester.refusal_words", lambda: "Web Push needs the package cryptography: pip install"
    )
    async with tocsin.embedded("contoso.mail", tmp_path, sensors=()) as manager:
        with pytest.raises(tocsin.NotSupported, match="pip install"):
            await manager.create_web_push_subscription()
    async with read_sqlite(tmp_path / "platform.db") as store:
        assert (await store.channels(), await store.value("push_seed")) == ([], None)


async def test_a_device_with_subscriptions_does_not_begin_without_cryptography(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says once what to install, and takes nothing in; with that it goes on as before."""
    async with tocsin.embedded("contoso.mail", tmp_path, sensors=()) as manager:
        subscription = await manager.create_web_push_subscription()
    with monkeypatch.context() as patch:
        patch.setattr("tocsin.actors.lifecycle.refusal_words", lambda: "Web Push needs cryptography: pip install")
        with pytest.raises(tocsin.NotSupported, match="has push subscriptions: Web Push needs cryptography"):
            async with tocsin.embedded("contoso.mail", tmp_path, sensors=()):
                pass
    async with tocsin.embedded("contoso.mail", tmp_path, sensors=()) as manager:
        assert (await manager.create_web_push_subscription()).as_json() == subscription.as_json()
