"""Background work with a task instance, registered as the app's kind has it."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import anyio
import pytest

from tests.helpers import payload
from tests.world import Gathered, world
from tocsin import (
    Activators,
    BackgroundActivatedEventArgs,
    InvalidArgument,
    PushNotificationActivationInfo,
    SystemConditionType,
)
from tocsin.api.identity import Identity, own_activators

ONE, TWO = UUID(int=1), UUID(int=2)
BOTH = Activators.PUSH_TRIGGER | Activators.COM_ACTIVATOR
CONDITIONS = (SystemConditionType.USER_PRESENT,)


def packaged(*classes: UUID) -> Identity:
    """Return what a manifest with these classes says."""
    return Identity(packaged=True, family_name="Contoso", classes=dict.fromkeys(classes, ("python",)))


@pytest.mark.parametrize(
    ("info", "identity", "activators", "clsid"),
    [
        (PushNotificationActivationInfo(), Identity(), Activators.PROTOCOL_ACTIVATOR, UUID(int=0)),
        (PushNotificationActivationInfo(), packaged(ONE), BOTH, ONE),
        (PushNotificationActivationInfo(task_clsid=TWO), packaged(ONE, TWO), BOTH, TWO),
        (PushNotificationActivationInfo(Activators.COM_ACTIVATOR, TWO), packaged(ONE), Activators.COM_ACTIVATOR, TWO),
        (PushNotificationActivationInfo(conditions=CONDITIONS), Identity(), Activators.PROTOCOL_ACTIVATOR, UUID(int=0)),
    ],
)
def test_what_is_not_named_is_that_of_the_apps_kind(
    info: PushNotificationActivationInfo, identity: Identity, activators: Activators, clsid: UUID
) -> None:
    """What is named stays as it is, conditions included."""
    found = own_activators(info, identity)
    assert (found.activators, found.task_clsid, found.conditions) == (activators, clsid, info.conditions)


@pytest.mark.parametrize("classes", [(), (ONE, TWO)])
def test_a_manifest_without_a_class_or_with_several_asks_which(classes: tuple[UUID, ...]) -> None:
    """The sentence counts them."""
    with pytest.raises(InvalidArgument, match=f"has {len(classes)} classes"):
        own_activators(PushNotificationActivationInfo(), packaged(*classes))


async def test_the_handler_gets_a_task_instance(tmp_path: Path) -> None:
    """With the payload, an id of the run, deferrals and cancellation as the args have them."""
    seen, ids = Gathered(), set[UUID]()

    async def handler(args: BackgroundActivatedEventArgs) -> None:
        task = args.task_instance
        deferral = task.get_deferral()
        token = task.canceled(lambda _: None)
        task.remove_canceled(token)
        assert task.cancellation is None
        await anyio.lowlevel.checkpoint()
        ids.add(task.instance_id)
        seen.add(task.trigger_details.id)
        deferral.complete()

    async with world(tmp_path) as w:
        await w.channel()
        await w.manager.on_background_activated(handler)
        await w.service.send(payload("A"), payload("B"))
        await seen.wait_for(2)
        with pytest.raises(InvalidArgument, match="already registered"):
            await w.manager.on_background_activated(handler)
    assert seen.items == ["A", "B"]
    assert len(ids) == 2


@pytest.mark.parametrize("wrong", [None, 5, "work"])
async def test_what_cannot_be_called_is_refused(tmp_path: Path, wrong: object) -> None:
    """Before anything is registered."""
    async with world(tmp_path) as w:
        with pytest.raises(InvalidArgument):
            await w.manager.on_background_activated(wrong)  # type: ignore[arg-type]  # that is the point
        with pytest.raises(InvalidArgument):
            await w.manager.on_background_activated(print, wrong or 5)  # type: ignore[arg-type]  # as above
