"""The parts of a platform's page that change: each is what stands in one element, by the element's id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tocsin.cli.activator_words import activator_name, condition_name
from tocsin.cli.host_lines import host_lines
from tocsin.cli.platform_page.asked_platform import PlatformPicture
from tocsin.cli.policy_words import setting_words
from tocsin.persistence.store import StoredActivator
from tocsin.protocol.platform.policy_report import DEFAULT
from tocsin.service.page.markup import Child, Markup, el, together
from tocsin.service.page.sections import installed_version, moment, none, pair, rows
from tocsin.service.page.subject import Face, Table

MOST: Final = 200
"""Rows of a table."""

_APPS: Final = ("App", "State", "Woken by", "Only while", "A push starts")
_CHANNELS: Final = ("Channel", "App", "Expires", "Waiting")
_DEAD: Final = ("Reason", "Payloads")
_SHORT: Final = 8  # characters of a channel's name


def face_of(kind: str) -> Face:
    """Return the words of the page of an agent, or of a program."""
    return Face(
        kind=kind.capitalize(),
        teller="'tocsin open'",
        skip_words="Skip to what came lately",
        skip_to="#pushes-heading",
        now=("standing",),
        columns=("Time", "Outcome", "App", "Type", "Reason", "Bytes"),
        tables=(
            Table("Apps", "app", _APPS),
            Table("Channels", "channel", _CHANNELS, "Channels, by app"),
            Table("Dead letters", "dead", _DEAD, "Payloads that ended unhandled, by reason"),
        ),
        note="Channel URIs, secrets, commands and what is in payloads are shown nowhere."
        f" This page is there while 'tocsin open' runs; it only looks at the {kind}.",
    )


def platform_sections(picture: PlatformPicture) -> dict[str, Markup]:
    """Write all of them."""
    return {
        "standing": _standing(picture),
        "machine": _machine(picture),
        "app-rows": _app_rows(picture),
        "channel-rows": _channel_rows(picture),
        "channel-note": together(_most(len(picture.channels)), f"Channels: {len(picture.channels):,}."),
        "dead-rows": _dead_rows(picture),
        "dead-note": together("'tocsin dead-letters' lists them, and retries or drops one."),
    }


def machine_section(machine: Markup) -> Markup:
    """Write the section beside the list of what came lately."""
    return el("section", el("h2", "What decides just now"), el("div", machine, id="machine"))


def _standing(picture: PlatformPicture) -> Markup:
    status = picture.status or {}
    causes = dict(status.get("causes", {})) | dict(picture.troubles)
    well = together(*(el("p", f"{name}: {why}", class_="cause") for name, why in causes.items()))
    state = el("span", "not well" if causes else "well", class_=f"state {'ill' if causes else 'well'}")
    pairs = [pair("State", together(state, well))]
    if status:
        connection = "connection" in status["causes"]
        pairs += [
            pair("Version", status.get("version", installed_version())),
            pair("Process", str(status.get("pid", ""))),
            pair("Push service", f"{status.get('service', '')}, {'not connected' if connection else 'connected'}"),
        ]
        if "socket" in status:
            pairs.append(pair("Apps connect to", str(status["socket"])))
        if "app" in status:
            pairs.append(pair("App", str(status["app"])))
    return el("dl", *pairs)


def _machine(picture: PlatformPicture) -> Markup:
    """Write what is known of the machine, what the policy says that is not as it is by default, and what the sensors tell."""
    status, policy = picture.status or {}, picture.policy
    known = host_lines(status.get("host", {}))
    sensors = [each for each in known if each[0].startswith("sensor")]
    said = [
        (f"policy: {row['setting']}", f"{setting_words(row)}, says {row['from']}")
        for row in policy.get("settings", ())
        if row["from"] != DEFAULT
    ]
    spent = [(app, "has used up its data of today") for app in status.get("over_budget", ())]
    values = [each for each in known if each not in sensors]
    faults = (*policy.get("faults", ()), *policy.get("overruled", ()))
    return together(
        _pairs([*values, *(said or [("policy", "nothing but defaults")]), *spent]),
        *(el("p", str(each), class_="cause") for each in faults),
        el("details", el("summary", "Sensors"), _pairs(sensors)) if sensors else None,
    )


def _pairs(lines: list[tuple[str, str]]) -> Markup:
    return el("dl", *(pair(name, words) for name, words in lines))


def _app_rows(picture: PlatformPicture) -> Markup:
    connected: dict[str, int] = (picture.status or {}).get("sessions", {})
    activators = dict[str, list[StoredActivator]]()
    for each in picture.activators:
        activators.setdefault(each.app, []).append(each)
    apps = sorted({*connected, *activators, *(each.app for each in picture.channels)})
    written = rows((app, _state(connected.get(app, 0)), *_activators(activators.get(app, []))) for app in apps[:MOST])
    return written or none(_APPS, "No app has connected yet.")


def _state(connected: int) -> Markup:
    words = f"{connected} connected" if connected else "not running"
    return el("span", words, class_=f"state {'connected' if connected else 'away'}")


def _activators(activators: list[StoredActivator]) -> Iterator[Child]:
    conditions = dict.fromkeys(condition_name(number) for each in activators for number in each.conditions)
    yield ", ".join(sorted(activator_name(each.activator) for each in activators)) or "—"
    yield ", ".join(conditions) or "—"
    yield "its command" if any(each.command for each in activators) else "nothing"


def _channel_rows(picture: PlatformPicture) -> Markup:
    newest = sorted(picture.channels, key=lambda each: (each.app, -each.expires))[:MOST]
    return rows(
        (el("code", each.channel[:_SHORT]), each.app, moment(each.expires), picture.waiting.get(each.channel, 0))
        for each in newest
    ) or none(_CHANNELS, "No app has a channel.")


def _most(number: int) -> str:
    return f"The first {MOST} are shown. " if number > MOST else ""


def _dead_rows(picture: PlatformPicture) -> Markup:
    return rows(picture.dead.items()) or none(_DEAD, "No payload has ended unhandled.")
