"""The policy that counts, of those of several files: each may only be stricter where one before it speaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tocsin.protocol.platform.policy import AppRules, Policy, QuietHours
from tocsin.protocol.platform.policy_text import (
    BUDGETS,
    PolicyKey,
    PolicyValue,
    WrittenPolicy,
    clock_time,
    sized,
)

MAX_OVERRULED: Final = 20
"""Settings that do not count which are told of at most."""

_Rules = dict[PolicyKey, tuple[PolicyValue, str]]
"""The value of each setting, and where it is from."""


def effective_policy(layers: Iterable[tuple[str, WrittenPolicy]]) -> Policy:
    """Return what counts.

    :param layers: where each is from, and what it says; those that count first come first.
    """
    rules, overruled = _Rules(), list[str]()
    for source, written in layers:
        rules = _laid_over(rules, source, written.rules, overruled)
    of_all, of_apps = dict[str, Any](), dict[str, dict[str, Any]]()
    for key, (value, _) in rules.items():
        (of_apps.setdefault(key.app, {}) if key.app else of_all)[key.name] = value
    return Policy(
        **of_all,
        apps={app: AppRules(**found) for app, found in of_apps.items()},
        origins={str(key): source for key, (_, source) in rules.items()},
        overruled=tuple(overruled[:MAX_OVERRULED]),
    )


def value_words(value: PolicyValue) -> str:
    """Write a value as a person reads it."""
    if isinstance(value, QuietHours):
        return f"{clock_time(value.begin)} to {clock_time(value.end)}"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else sized(value)


def _laid_over(rules: _Rules, source: str, more: Mapping[PolicyKey, PolicyValue], overruled: list[str]) -> _Rules:
    """Return rules with those of the next file."""
    laid = dict(rules)
    for key in sorted(rules.keys() | more.keys()):
        wanted, stands = _of(more, key), _of(rules, key)
        if wanted is None:
            continue
        if stands is None or _stricter(wanted, stands[0]):
            laid[key] = (wanted, source)
        elif key in more and wanted != stands[0]:
            overruled.append(
                f"{source}: {key} = {value_words(wanted)} does not count: {stands[1]} says {value_words(stands[0])},"
                " and what comes behind it may only be stricter"
            )
    return laid


def _of(rules: Mapping[PolicyKey, Any], key: PolicyKey) -> Any:
    """Return what rules say of a setting: a budget of all apps is that of each which has none of its own."""
    found = rules.get(key)
    return rules.get(PolicyKey("", key.name)) if found is None and key.app and key.name in BUDGETS else found


def _stricter(wanted: PolicyValue, stands: PolicyValue) -> bool:
    """Tell whether a value forbids more than another; of quiet hours the first count."""
    if isinstance(wanted, QuietHours) or isinstance(stands, QuietHours):
        return False
    return wanted < stands  # false is less than true, and a smaller budget is less
