"""Who an app is: packaged, with a manifest, or unpackaged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from attrs import Factory, frozen

from tocsin.protocol.arguments import check_app_name
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.activation import Activators, PushNotificationActivationInfo
from tocsin.protocol.text import quoted


@frozen
class Identity:
    """An app's identity; an unpackaged app has neither family name nor classes."""

    packaged: bool = False
    family_name: str = ""
    classes: Mapping[UUID, tuple[str, ...]] = Factory(dict[UUID, tuple[str, ...]])
    """The COM classes of the manifest: CLSID to the command that serves it."""


def read_manifest(path: Path) -> Identity:
    """Read a ``tocsin.toml``: ``family_name``, and under ``[com]`` a command, as a list of words, for each CLSID.

    :raises InvalidArgument: it cannot be read, or is no such manifest; the sentence says what would be right.
    """
    import tomllib  # noqa: PLC0415  # only packaged apps pay for it: a push waits while a process starts

    try:
        manifest = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as failure:
        raise InvalidArgument(
            f"the manifest {quoted(str(path))} cannot be read: {failure.strerror or failure}"
        ) from failure
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as failure:
        raise InvalidArgument(f"the manifest {quoted(str(path))} is no TOML: {failure}") from failure
    family_name = manifest.get("family_name")
    if not isinstance(family_name, str) or not family_name.strip():
        raise InvalidArgument(f'the manifest {quoted(str(path))} needs a family name: family_name = "Contoso.Mail"')
    check_app_name(family_name, f"the family name in the manifest {quoted(str(path))}")
    classes = manifest.get("com", {})
    if not isinstance(classes, dict):
        raise InvalidArgument(f"in the manifest {quoted(str(path))}, [com] is a table of CLSIDs and commands")
    return Identity(
        packaged=True,
        family_name=family_name,
        classes=dict(_class(path, clsid, command) for clsid, command in classes.items()),
    )


def _class(path: Path, clsid: str, command: Any) -> tuple[UUID, tuple[str, ...]]:
    try:
        key = UUID(clsid)
    except ValueError:
        raise InvalidArgument(f"in the manifest {quoted(str(path))}, {quoted(clsid)} is no CLSID") from None
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        raise InvalidArgument(
            f'in the manifest {quoted(str(path))}, a command is a list of words: "{clsid}" = ["python", "-m", "mail"]'
        )
    return key, tuple(command)


def own_activators(info: PushNotificationActivationInfo, identity: Identity) -> PushNotificationActivationInfo:
    """Return a registration with the activators that this kind of app has, where it names none, and with its class.

    :raises InvalidArgument: a packaged app has no class in its manifest, or several, and the registration names none.
    """
    if info.activators:
        return info
    if not identity.packaged:
        activators, clsid = Activators.PROTOCOL_ACTIVATOR, info.task_clsid
    elif info.task_clsid != UUID(int=0):
        activators, clsid = Activators.PUSH_TRIGGER | Activators.COM_ACTIVATOR, info.task_clsid
    elif len(identity.classes) == 1:
        activators, clsid = Activators.PUSH_TRIGGER | Activators.COM_ACTIVATOR, next(iter(identity.classes))
    else:
        raise InvalidArgument(f"the manifest has {len(identity.classes)} classes under [com]: say which, as task_clsid")
    return PushNotificationActivationInfo(activators, clsid, info.conditions, info.cancel_on_condition_loss)


def words_for_clicks(identity: Identity, clsid: UUID) -> tuple[str, ...] | None:
    """Return the words that a click on a toast of a packaged app starts: those of a class, or of its only one; None without any.

    :raises InvalidArgument: the app has no such class, or several, and the null CLSID names none of them.
    """
    if clsid != UUID(int=0):
        if clsid not in identity.classes:
            raise InvalidArgument(f"the app has no manifest with a command for the class {clsid}")
        return identity.classes[clsid]
    if len(identity.classes) > 1:
        raise InvalidArgument(f"the manifest has {len(identity.classes)} classes under [com]: say which, as clsid")
    return next(iter(identity.classes.values()), None)
