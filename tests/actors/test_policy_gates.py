"""A platform under a policy: what each rule does to a payload, and which gate decides where several are closed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import anyio
import pytest
from attrs import define, field

from tests.helpers import payload
from tests.protocol.frames import arrivals
from tests.world import Gathered, World, dead_rows, open_rows, world
from tocsin.actors.actor_runner import Kernel
from tocsin.actors.clock import LoopClock
from tocsin.actors.host_owner import HostOwner
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.host.promises import HostParts
from tocsin.protocol.errors import IllegalCall
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import Activators, CancellationReason, PushNotificationActivationInfo
from tocsin.protocol.platform.effective_policy import effective_policy
from tocsin.protocol.platform.host_facts import HostFacts
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.policy import Policy
from tocsin.protocol.platform.policy_text import read_policy

TRIGGER = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR)


class StillWall(LoopClock):
    """A clock on whose wall it is noon."""

    def wall(self) -> float:
        """Return it, local time."""
        return datetime(2026, 11, 29, 12).astimezone().timestamp()


def policy(text: str) -> Policy:
    """Read a policy of the system."""
    written = read_policy(text)
    assert written.faults == ()
    return effective_policy([("/etc/policy.toml", written)])


@define
class Machine:
    """A machine under a policy, which may be in energy saver."""

    text: str
    saving: bool = False
    name: str = "machine"
    is_polled: bool = False
    standing: str = ""
    faults: tuple[str, ...] = ()

    @property
    def parts(self) -> HostParts:
        """Return what a platform is told by."""
        return HostParts([self], _Source(self.text))

    def ask(self) -> None:
        """There is nothing to look at again."""

    async def run(self, tell: Callable[[HostFacts], None]) -> None:
        """Tell it."""
        tell(HostFacts(power_saver=self.saving))
        await anyio.sleep_forever()


@define
class _Source:
    text: str
    is_polled: bool = False
    faults: tuple[str, ...] = ()
    tell: Callable[[Policy], None] = field(init=False)

    def ask(self) -> None:
        """There is nothing to look at again."""

    async def run(self, tell: Callable[[Policy], None]) -> None:
        self.tell = tell
        tell(policy(self.text))
        await anyio.sleep_forever()


async def deliver(w: World, id_: str, *, priority: int = 1) -> None:
    """Let a payload come in, whether there is a connection or not."""
    batch = arrivals(payload(id_, priority=priority))
    await w.platform.deliver([(batch, encode(batch))])


CLOUD, APP = "cloud_notifications = false", '[apps."contoso.mail"]'
OFF, DENIED, EXEMPT = "notifications = false", "background = false", "exempt_from_energy_saver = true"


@pytest.mark.parametrize(
    ("rules", "saving", "priority", "end"),
    [
        ("", False, 3, "done"),
        ("", True, 1, "waits"),
        # Each rule by itself, and as it is of another app.
        (CLOUD, False, 3, "cloud_disabled"),
        (f"{APP}\n{OFF}", False, 3, "notifications_disabled"),
        (f"{APP}\n{DENIED}", False, 3, "waits"),
        (f"[apps.other]\n{OFF}\n{DENIED}", False, 3, "done"),
        (f"{APP}\n{EXEMPT}", True, 3, "done"),
        (f"{APP}\n{EXEMPT}", True, 4, "waits"),
        (f"[apps.other]\n{EXEMPT}", True, 3, "waits"),
        ("toasts = false\ntiles = false\nbadges = false", False, 3, "done"),
        # The order of the gates: what is closed behind the first that stops it does not matter.
        (f"{CLOUD}\n{APP}\n{OFF}\n{DENIED}", True, 4, "cloud_disabled"),
        (f"{APP}\n{OFF}\n{DENIED}", True, 4, "notifications_disabled"),
        (f"{APP}\n{DENIED}", True, 4, "waits"),
        (f"{APP}\n{DENIED}\n{EXEMPT}", True, 1, "waits"),
    ],
)
async def test_each_rule_does_what_it_says(  # a table
    tmp_path: Path, rules: str, saving: bool, priority: int, end: str
) -> None:
    """From the start on, for a channel from before; what it forbids may have been on its way."""
    seen = Gathered()
    async with world(tmp_path) as w:
        await w.channel()
    forbidden = end == "cloud_disabled"
    async with world(tmp_path, host=Machine(rules, saving).parts, connect=not forbidden) as w:
        await w.manager.register_activator(TRIGGER, lambda args: seen.add(args.id))
        await deliver(w, "A", priority=priority)
        if not forbidden:
            await w.service.expect_acknowledged("A")
        await anyio.wait_all_tasks_blocked()
        assert seen.items == (["A"] if end == "done" else [])
    assert bool(await open_rows(tmp_path)) == (end == "waits")
    assert [reason for _, reason, _ in await dead_rows(tmp_path)] == ([end] if "_" in end else [])


async def test_a_policy_that_changes_counts_at_once(tmp_path: Path) -> None:
    """For what comes, and for work that runs; an app that says otherwise changes nothing of it."""
    cancelled, running = Gathered(), Gathered()
    machine = Machine(f"{APP}\n{EXEMPT}", saving=True)
    parts = machine.parts
    source = parts.policy
    assert isinstance(source, _Source)

    async def work(args: PushNotificationReceivedEventArgs) -> None:
        args.canceled(cancelled.add)
        running.add(args)
        await anyio.sleep_forever()

    async with world(tmp_path, host=parts) as w:
        await w.channel()
        await w.manager.register_activator(TRIGGER, work)
        await w.service.send(payload("A"))
        await running.wait_for(1)
        await w.service.expect_acknowledged("A")
        with pytest.raises(IllegalCall, match="energy_saver: this machine tells that itself"):
            await w.manager.conditions.set_host(energy_saver=False)
        await w.manager.conditions.set_host(cloud_notifications=True)
        source.tell(policy(CLOUD))
        await cancelled.wait_for(1)
        assert not w.manager.conditions.host.cloud_notifications
        await deliver(w, "C")
    assert cancelled.items == [CancellationReason.SYSTEM_POLICY]
    assert ("C", "cloud_disabled", "") in await dead_rows(tmp_path)


async def test_what_has_not_changed_is_not_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With quiet hours the time is looked at with each batch of payloads: that costs no more than the look."""
    published = 0
    original = HostOwner._publish

    async def counting(owner: HostOwner, record: HostRecord) -> None:
        nonlocal published
        published += 1
        await original(owner, record)

    monkeypatch.setattr(HostOwner, "_publish", counting)
    parts = Machine('quiet_hours = { begin = "00:00", end = "23:59" }').parts
    async with world(tmp_path, host=parts, kernel=Kernel(StillWall())) as w:
        await w.channel()
        await anyio.wait_all_tasks_blocked()
        before = published
        for name in "ABC":
            await w.service.send(payload(name))
            await w.service.expect_acknowledged(name)
            await anyio.wait_all_tasks_blocked()
        assert published == before
        assert w.platform.host_owner.record.host.quiet_hours


async def test_an_equal_policy_of_another_file_is_that_files(tmp_path: Path) -> None:
    """As it is shown to a person who asks where it is from."""
    parts = Machine("toasts = false").parts
    source = parts.policy
    assert isinstance(source, _Source)
    async with world(tmp_path, host=parts) as w:
        owner = w.platform.host_owner
        assert owner.record.policy.origins == {"toasts": "/etc/policy.toml"}
        source.tell(effective_policy([("elsewhere", read_policy("toasts = false"))]))
        await anyio.wait_all_tasks_blocked()
        assert owner.record.policy.origins == {"toasts": "elsewhere"}
