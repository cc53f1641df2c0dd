"""The bench of Web Push, in a small way."""

from __future__ import annotations

import secrets
from contextlib import nullcontext
from time import process_time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bench import bare_decryption, parts, webpush
from bench.framework import Options, Row
from tests.bench.small import post_some, told
from tocsin.webpush.message_encryption import encrypt
from tocsin.webpush.vapid_keys import VapidKey


def test_encrypted_posts_are_counted_where_they_are_plaintext(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each that was answered reaches the handler, the token of their sender is verified once, and what all takes is told by parts."""
    monkeypatch.setattr(webpush, "post", lambda seconds, targets, folder: post_some(targets, seconds, folder))
    monkeypatch.setattr(webpush, "_BODIES", 2)
    options = Options(rounds=1, quick=True)
    with webpush.pushed(options, VapidKey.generate()) as running:
        sample = webpush.delivered(options, lambda: nullcontext(running))
        assert sample[webpush.COST] == sample["server CPU µs"] + sample["receiver CPU µs"] > 0
        told(sample, "answer")
        service, app = webpush.where(options, lambda: nullcontext(running))
        assert service.startswith("the service: ")
        assert app.startswith("the app: ")
        assert webpush.verifications(running) == 1


def test_what_a_push_costs_is_told_with_its_goal() -> None:
    """In decryptions of the same round, of which the median is taken."""

    def row(name: str, *costs: float) -> Row:
        return Row(name, "product", "", [{webpush.COST: cost} for cost in costs])

    rows = {
        each.name: each
        for each in (
            row(webpush.WIRE, 100.0, 200.0, 100.0),
            row(webpush.SIGNED, 200.0, 320.0, 220.0),
            row(webpush.UNSIGNED, 180.0, 300.0, 200.0),
            row(webpush.BY_HAND, 200.0, 250.0, 160.0),
            row(webpush.BARE, 100.0, 100.0, 100.0),
        )
    }
    assert webpush.verdicts(rows, [1, 1, 1]) == [
        "webpush: 120.0 µs more than by WNS, which is 1.20 of a bare decryption (goal: 1.3 at most).",
        "webpush without VAPID: 100.0 µs more than by WNS, which is 1.00 of a bare decryption.",
        "wire: WNS, decrypted by the handler: 60.0 µs more than by WNS, which is 0.60 of a bare decryption.",
        "webpush: 1.28 of a push by WNS whose handler decrypts.",
        "Signatures verified in a round: 1 at most.",
    ]


def test_what_decrypts_beside_the_product_reads_the_same() -> None:
    """Both open what is encrypted for their key."""
    private, auth = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(16)
    body = encrypt(bare_decryption.point_of(private.public_key()), auth, b"hello").body
    assert bare_decryption.alone(private, auth)(body) == bare_decryption.by_http_ece(private, auth)(body) == b"hello"


def test_the_cpu_of_a_process_is_told_by_parts() -> None:
    """What is in the file and the function of a part is of that part, and no more is told than was used."""
    sampler = parts.Sampler({"here": ("test_webpush.py:burn",)})

    def burn() -> None:
        end = process_time() + 0.05
        while process_time() < end:
            pass

    sampler.begin()
    burn()
    spent = sampler.found()
    assert spent["here"] > 0
    assert sum(spent.values()) <= process_time()
