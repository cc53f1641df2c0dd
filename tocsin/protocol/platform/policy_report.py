"""What ``tocsin policy show`` tells: every setting with its value and where that is from, and what a payload would meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from attrs import frozen

from tocsin.protocol.arguments import check_app_name, check_within
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.platform.conditions import OF_USER, AppSettings
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.payload_outlook import USUAL_PRIORITIES, payload_outlook
from tocsin.protocol.platform.policy import QuietHours
from tocsin.protocol.platform.policy_text import BUDGETS, OF_ALL, OF_APP, PolicyKey, clock_time
from tocsin.protocol.text import quoted
from tocsin.protocol.values import WNS_TYPES, NotificationType, wns_type

DEFAULT: Final = "default"
"""Where what nothing decides is from."""

USER: Final = "the user"

SAID: Final = "an app (set_host)"
"""Where what an app says of the machine is from."""


@frozen
class PolicyQuestion:
    """What is asked: the settings of one app or of all, and what a payload of it would meet."""

    app: str | None = None
    kind: NotificationType = NotificationType.RAW
    priority: int | None = None
    """From 1, high, to 4, very low; None for the usual one of that type."""

    @classmethod
    def of(cls, fields: dict[str, Any]) -> PolicyQuestion:
        """Read it from the fields ``app``, ``type`` and ``priority``, each of which may be missing.

        :raises InvalidArgument: one of them is wrong.
        """
        app, kind, priority = fields.get("app"), fields.get("type"), fields.get("priority")
        if app is not None:
            check_app_name(app)
        if priority is not None:
            check_within(priority, "a priority", 1, 4)
        try:
            return cls(app, NotificationType.RAW if kind is None else wns_type(kind), priority)
        except ValueError:
            kinds = ", ".join(WNS_TYPES)
            raise InvalidArgument(f"the type of a payload is one of {kinds}, not {quoted(kind)}") from None


def policy_report(record: HostRecord, question: PolicyQuestion) -> dict[str, Any]:
    """Return it as an object of JSON; sizes in bytes."""
    report: dict[str, Any] = {
        "settings": [*_of_all(record), *_of_apps(record, question.app)],
        "overruled": list(record.policy.overruled),
    }
    if question.app is not None:
        origins = dict(record.policy.origins) | dict.fromkeys(_said_off(record), SAID)
        priority = question.priority or USUAL_PRIORITIES[question.kind]
        settings = record.settings_of(question.app)
        outlook = payload_outlook(record.host, settings, record.power, origins, question.app, question.kind, priority)
        report["payload"] = {
            "app": outlook.app,
            "type": str(outlook.kind),
            "priority": outlook.priority,
            "meets": outlook.meets,
            "gates": [{"gate": gate.gate, "does": str(gate.passing), "why": gate.why} for gate in outlook.gates],
        }
    return report


def _of_all(record: HostRecord) -> Iterator[dict[str, Any]]:
    for name in OF_ALL:
        key = str(PolicyKey("", name))
        if name in _said_off(record):
            yield _row(key, value=False, source=SAID)
        else:
            yield _row(key, getattr(record.policy, name), record.policy.origins.get(key, DEFAULT))


def _said_off(record: HostRecord) -> set[str]:
    """Return what apps have switched off for the whole machine that the policy allows."""
    return {name for name in OF_ALL if record.said.get(name) is False and getattr(record.policy, name) is True}


def _of_apps(record: HostRecord, app: str | None) -> Iterator[dict[str, Any]]:
    """Tell the rules of all apps; of one all settings, with those that the user has decided."""
    if app is None:
        for each, rules in sorted(record.policy.apps.items()):
            for name in OF_APP:
                key = str(PolicyKey(each, name))
                if key in record.policy.origins:
                    yield _row(key, getattr(rules, name), record.policy.origins[key])
        return
    for name in OF_APP:
        yield _of_app(record, PolicyKey(app, name))


def _of_app(record: HostRecord, key: PolicyKey) -> dict[str, Any]:
    origins = record.policy.origins
    value = getattr(record.policy.rules_of(key.app), key.name)
    if value is not None:
        return _row(str(key), value, origins.get(str(key), DEFAULT))
    if key.name in BUDGETS:
        return _row(str(key), getattr(record.policy, key.name), origins.get(key.name, DEFAULT))
    assert key.name in OF_USER  # noqa: S101  # all others are
    decided = getattr(record.decided.get(key.app, AppSettings()), key.name)
    return _row(str(key), decided, DEFAULT if decided == getattr(AppSettings(), key.name) else USER)


def _row(setting: str, value: Any, source: str) -> dict[str, Any]:
    if isinstance(value, QuietHours):
        value = {"begin": clock_time(value.begin), "end": clock_time(value.end)}
    return {"setting": setting, "value": value, "from": source}
