"""From an encrypted POST to a push resource to the app's handler, which gets plaintext, beside the same bytes by WNS."""

from __future__ import annotations

import asyncio
import secrets
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path
from time import process_time, time
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from bench import bare_decryption, set_ups, wire
from bench.framework import Contestant, Options, Report, Row, Sample, measure, ratio
from bench.http_load import CONNECTIONS, Target, closed_loop, stamped, wns_target
from bench.load import BODY
from bench.wrk import wrk_made
from tocsin.protocol.webpush import base64url
from tocsin.protocol.webpush.subscription import AUTH
from tocsin.protocol.webpush.vapid import claims
from tocsin.webpush.message_encryption import encrypt
from tocsin.webpush.vapid_keys import VapidKey

COST = "CPU µs"
"""Of service and app together, a push; or of a decryption."""

WIRE, SIGNED, UNSIGNED = "wire: WNS", "webpush", "webpush without VAPID"
BY_HAND = "wire: WNS, decrypted by the handler"
"""What decrypting costs where the rest of a push goes on: there it is dearer than alone, for what it finds in the processor's caches."""

BARE, PEER = "bare decryption: cryptography alone", "http-ece: decryption alone"

GOAL = 1.3
"""Of a bare decryption: what a push may cost more than one by WNS."""

_BODIES = 256  # that are made before the clock starts, and posted again and again
_HOUR = 3600.0


def run(options: Options) -> Report:
    """Measure pushes with and without VAPID, beside those of WNS and a decryption that is nothing else."""
    report = Report(
        "webpush",
        f"POSTs of {BODY} bytes before encryption by wrk with {CONNECTIONS} connections, to a handler that gets plaintext",
    )
    vapid, verified = VapidKey.generate(), list[int]()
    by_wns = partial(set_ups.tocsin, options, options.loops[0], "told")
    signed, unsigned = partial(pushed, options, vapid), partial(pushed, options, None)
    by_hand = partial(set_ups.decrypting, options, options.loops[0], by_hand_target)
    private, auth = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(AUTH)
    bodies = _sealed(bare_decryption.point_of(private.public_key()), auth)
    contestants = [
        Contestant("floor: the web server answers, nothing else", partial(_floor, options), "floor"),
        Contestant(WIRE, partial(delivered, options, by_wns)),
        Contestant(SIGNED, partial(delivered, options, partial(_counted, signed, verified))),
        Contestant(UNSIGNED, partial(delivered, options, unsigned)),
        Contestant(BY_HAND, partial(delivered, options, by_hand), "peer"),
        Contestant(BARE, partial(_decrypted, options, lambda: bare_decryption.alone(private, auth), bodies)),
        Contestant(
            PEER, partial(_decrypted, options, lambda: bare_decryption.by_http_ece(private, auth), bodies), "peer"
        ),
    ]
    measure(report, contestants, options.rounds)
    report.remarks += verdicts({row.name: row for row in report.rows}, verified)
    report.remarks += [
        f"{name}, µs of CPU a push in {words}."
        for name, set_up in ((WIRE, by_wns), (SIGNED, signed))
        for words in where(options, set_up)
    ]
    return report


def pushed(options: Options, vapid: VapidKey | None) -> AbstractContextManager[set_ups.Running]:
    """Run both processes, with a subscription for that key, or for any sender."""
    key = "" if vapid is None else vapid.application_server_key
    return set_ups.web_push(options, options.loops[0], key, partial(target, vapid))


def target(vapid: VapidKey | None, app: Mapping[str, Any], service: Mapping[str, Any]) -> Target:
    """Return where and how a sender pushes, with bodies that were encrypted before; ``vapid`` is its key, None for none.

    :param app: its subscription.
    :param service: what the service has told.
    """
    headers = {"TTL": "60", "Content-Encoding": "aes128gcm", "Content-Type": "application/octet-stream"}
    if vapid is not None:
        headers["Authorization"] = vapid.sign(claims(service["url"], time() + _HOUR, "mailto:bench@push.test"))
    return Target(app["endpoint"], headers, _bodies_for(app["keys"]))


def by_hand_target(app: Mapping[str, Any], service: Mapping[str, Any]) -> Target:
    """Return where and how the same is pushed by WNS, with the TTL that every message of Web Push has."""
    target = wns_target(app["uri"], service)
    return Target(target.url, {**target.headers, "X-WNS-TTL": "60"}, _bodies_for(app["keys"]))


def _bodies_for(keys: Mapping[str, str]) -> Callable[[float], bytes]:
    bodies = cycle(_sealed(base64url.decode(keys["p256dh"]), base64url.decode(keys["auth"])))
    return lambda _: next(bodies)


def _sealed(p256dh: bytes, auth: bytes) -> list[bytes]:
    return [encrypt(p256dh, auth, stamped(0.0)).body for _ in range(_BODIES)]


def post(seconds: int, targets: Sequence[Target], folder: Path) -> dict[str, Any]:
    """Post what was made before."""
    return wrk_made(targets[0], _BODIES, seconds, folder)


def _floor(options: Options) -> Sample:
    found = wire.floor(options, options.sized(5, 1))
    return {COST: found["server CPU µs"]} | found


def delivered(options: Options, set_up: set_ups.SetUp) -> Sample:
    """Measure one way."""
    found = wire.delivered(options, set_up, partial(post, options.sized(5, 1)), _warm_up)
    return {COST: found["server CPU µs"] + found["receiver CPU µs"]} | found


def _warm_up(running: set_ups.Running) -> None:
    """Let the app import what it takes, and each side see the sender for the first time."""
    asyncio.run(closed_loop(running.targets, CONNECTIONS))
    set_ups.received(running.receiver, CONNECTIONS)


@contextmanager
def _counted(set_up: set_ups.SetUp, verified: list[int]) -> Iterator[set_ups.Running]:
    with set_up() as running:
        yield running
        verified.append(verifications(running))


def verifications(running: set_ups.Running) -> int:
    """Return how many signatures of senders the service has verified."""
    assert running.serving is not None
    running.serving.tell("verifications")
    return running.serving.number()


def _decrypted(options: Options, make: Callable[[], bare_decryption.Decrypt], bodies: Sequence[bytes]) -> Sample:
    decrypt, times = make(), options.sized(40, 1)
    assert decrypt(bodies[0]) == stamped(0.0)
    begin = process_time()
    for _ in range(times):
        for body in bodies:
            decrypt(body)
    return {COST: 1e6 * (process_time() - begin) / (times * len(bodies))}


def verdicts(rows: Mapping[str, Row], verified: Sequence[int]) -> list[str]:
    """Say what a push costs more than one by WNS, within each round, and how often a signature was verified."""
    bare, by_wns = (rows[name].figures(COST) for name in (BARE, WIRE))
    said = []
    for name, goal in ((SIGNED, f" (goal: {GOAL} at most)"), (UNSIGNED, ""), (BY_HAND, "")):
        more = [ours - theirs for ours, theirs in zip(rows[name].figures(COST), by_wns, strict=True)]
        parts = statistics.median(each / one for each, one in zip(more, bare, strict=True))
        said.append(
            f"{name}: {statistics.median(more):.1f} µs more than by WNS, which is {parts:.2f} of a bare decryption{goal}."
        )
    said.append(f"{SIGNED}: {ratio(rows[SIGNED], rows[BY_HAND], COST):.2f} of a push by WNS whose handler decrypts.")
    said.append(f"Signatures verified in a round: {max(verified)} at most.")
    if PEER in rows:
        said.append(f"http-ece: {ratio(rows[PEER], rows[BARE], COST):.2f} of a bare decryption.")
    return said


def where(options: Options, set_up: set_ups.SetUp) -> list[str]:
    """Say what a push takes in each process, by its parts, in one more round while both are looked at."""
    with options.state() as folder, set_up() as running:
        _warm_up(running)
        assert running.serving is not None
        both = {"the service": running.serving, "the app": running.receiver}
        set_ups.begin(running.receiver)
        for process in both.values():
            process.tell("sample")
            process.line()
        found = post(options.sized(5, 1), running.targets, folder)
        set_ups.received(running.receiver, found["requests"])
        said = []
        for name, process in both.items():
            process.tell("parts")
            used = {part: 1e6 * seconds / found["requests"] for part, seconds in process.line().items()}
            ranked = sorted(used.items(), key=lambda each: -each[1])
            said.append(f"{name}: {', '.join(f'{part} {cost:.1f}' for part, cost in ranked)}")
    return said
