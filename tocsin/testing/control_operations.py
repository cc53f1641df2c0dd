"""The operations of ``/_tocsin/``, one line each: what routes, reads, answers and documents them is all made of this table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from attrs import asdict, frozen

from tocsin.protocol.arguments import check_within
from tocsin.testing.control_shapes import (
    MAX_WAIT,
    About,
    Advance,
    ChannelShown,
    ClockShown,
    Fail,
    HostShown,
    HostWished,
    Nothing,
    PushesShown,
    PushShown,
    RefuseToken,
    RequestShown,
    RequestsShown,
    ThrottleNext,
    Wait,
)
from tocsin.testing.pushes import Push
from tocsin.testing.twin import Twin, check_wait


@frozen
class Operation:
    """One request that may be made.

    :param takes: the class of its body, or, for GET, of its query.
    :param gives: the class of its answer.
    :param perform: does it.
    """

    method: str
    path: str
    summary: str
    takes: type[Any]
    gives: type[Any]
    perform: Callable[[Twin, Any], Awaitable[Any]]


async def _about(twin: Twin, _: Nothing) -> About:
    service, app = twin.service, twin.app
    return About(
        service.url,
        app.client_id,
        app.client_secret,
        app.remote_id,
        twin.channel_uri,
        service.token_url,
        service.aad_token_url,
        twin.device.connected,
        twin.clock(),
    )


async def _pushes(twin: Twin, wait: Wait) -> PushesShown:
    check_wait(wait.count, wait.timeout)
    check_within(int(wait.timeout), "timeout", 0, MAX_WAIT)
    if wait.count:
        await twin.wait_for(wait.count, wait.timeout)
    return PushesShown(twin.pushes.count, [_shown(each) for each in twin.pushes.all()])


def _shown(push: Push) -> PushShown:
    try:
        text: str | None = push.text
    except UnicodeDecodeError:
        text = None
    return PushShown(
        *(push.id, push.type, push.body, text, push.expires, push.priority),
        *(push.channel_uri, push.tag, push.group, push.suppress_popup),
    )


async def _forget_pushes(twin: Twin, _: Nothing) -> Nothing:
    twin.pushes.clear()
    return Nothing()


async def _requests(twin: Twin, _: Nothing) -> RequestsShown:
    shown = [
        RequestShown(
            *(each.method, dict(each.headers), each.status, each.id, each.outcome, each.description),
            list(each.warnings),
        )
        for each in twin.faults.requests
    ]
    return RequestsShown(twin.faults.sign_ins, shown)


async def _forget_requests(twin: Twin, _: Nothing) -> Nothing:
    twin.faults.requests.clear()
    twin.faults.sign_ins = 0
    return Nothing()


async def _fail(twin: Twin, fail: Fail) -> Nothing:
    twin.fail(**asdict(fail))
    return Nothing()


async def _throttle(twin: Twin, throttle: ThrottleNext) -> Nothing:
    twin.throttle(**asdict(throttle))
    return Nothing()


async def _refuse_token(twin: Twin, refusal: RefuseToken) -> Nothing:
    twin.refuse_token(**asdict(refusal))
    return Nothing()


async def _heal(twin: Twin, _: Nothing) -> Nothing:
    twin.heal()
    return Nothing()


async def _expire_tokens(twin: Twin, _: Nothing) -> Nothing:
    twin.expire_tokens()
    return Nothing()


async def _expire_channel(twin: Twin, _: Nothing) -> Nothing:
    twin.expire_channel()
    return Nothing()


async def _revoke_channel(twin: Twin, _: Nothing) -> Nothing:
    await twin.revoke_channel()
    return Nothing()


async def _new_channel(twin: Twin, _: Nothing) -> ChannelShown:
    return ChannelShown(await twin.new_channel())


async def _offline(twin: Twin, _: Nothing) -> Nothing:
    await twin.go_offline()
    return Nothing()


async def _online(twin: Twin, _: Nothing) -> Nothing:
    await twin.go_online()
    return Nothing()


async def _clock(twin: Twin, _: Nothing) -> ClockShown:
    return ClockShown(twin.clock())


async def _advance(twin: Twin, jump: Advance) -> ClockShown:
    twin.clock.advance(**asdict(jump))
    return ClockShown(twin.clock())


async def _host(twin: Twin, _: Nothing) -> HostShown:
    return HostShown(**asdict(twin.host.sensor.facts))


async def _play(twin: Twin, wish: HostWished) -> HostShown:
    twin.host.become(wish.conditions, wish.exempt, asdict(wish.policy))
    await twin.play()
    return await _host(twin, Nothing())


async def _reset(twin: Twin, _: Nothing) -> About:
    twin.host.restore()
    await twin.play()
    await twin.reset()
    return await _about(twin, Nothing())


OPERATIONS: Final = (
    Operation("GET", "/", "say what senders and apps need, and how the twin stands", Nothing, About, _about),
    Operation("GET", "/pushes", "list what has reached the device, or wait for it", Wait, PushesShown, _pushes),
    Operation("DELETE", "/pushes", "forget what has reached the device", Nothing, Nothing, _forget_pushes),
    Operation("GET", "/requests", "list what senders have asked, and the answers", Nothing, RequestsShown, _requests),
    Operation("DELETE", "/requests", "forget what senders have asked", Nothing, Nothing, _forget_requests),
    Operation("POST", "/fail", "answer the next notifications with a status", Fail, Nothing, _fail),
    Operation("POST", "/throttle", "answer the next with 406 and channelthrottled", ThrottleNext, Nothing, _throttle),
    Operation("POST", "/refuse-token", "answer the next token requests so", RefuseToken, Nothing, _refuse_token),
    Operation("POST", "/heal", "take back the faults that are still to come", Nothing, Nothing, _heal),
    Operation("POST", "/expire-tokens", "answer all tokens so far with 401", Nothing, Nothing, _expire_tokens),
    Operation("POST", "/expire-channel", "answer the channel with 410", Nothing, Nothing, _expire_channel),
    Operation("POST", "/revoke-channel", "have the app close its channel: 410", Nothing, Nothing, _revoke_channel),
    Operation("POST", "/new-channel", "have the app ask for another channel", Nothing, ChannelShown, _new_channel),
    Operation("POST", "/offline", "cut the device off", Nothing, Nothing, _offline),
    Operation("POST", "/online", "bring the device back", Nothing, Nothing, _online),
    Operation("GET", "/clock", "tell the service's time", Nothing, ClockShown, _clock),
    Operation("POST", "/clock", "let the service's time jump ahead", Advance, ClockShown, _advance),
    Operation("GET", "/host", "say how the device's machine is", Nothing, HostShown, _host),
    Operation("PUT", "/host", "play the device's machine, its user and policy", HostWished, HostShown, _play),
    Operation("POST", "/reset", "begin anew; the channel stays if it is good", Nothing, About, _reset),
)
"""All of them; paths are below ``/_tocsin``."""
