"""What ``tocsin policy`` may ask a running platform: what applies, what a payload would meet, and to exempt an app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from tocsin.actors.host_owner import HostOwner
from tocsin.host.policy_files import PolicyFiles
from tocsin.protocol.arguments import check_app_name, check_kind
from tocsin.protocol.platform.policy_report import PolicyQuestion, policy_report
from tocsin.transport.control_socket import Answer


def policy_verbs(owner: HostOwner) -> dict[str, Callable[[Answer], Awaitable[Answer]]]:
    """Return what answers each verb; the fields of a question are those of ``PolicyQuestion``, and ``app`` and ``exempt``."""
    return {"policy": partial(_policy, owner), "exempt": partial(_exempt, owner)}


async def _policy(owner: HostOwner, request: Answer) -> Answer:
    question = PolicyQuestion.of(request)
    source = owner.parts.policy
    files = source.standing if isinstance(source, PolicyFiles) else {}
    faults = [] if source is None else list(source.faults)
    return policy_report(owner.record, question) | {"files": files, "faults": faults}


async def _exempt(owner: HostOwner, request: Answer) -> Answer:
    """Decide for the user whether an app runs in energy saver, and say whether it does: a policy stands above that."""
    app, wanted = request.get("app"), request.get("exempt")
    check_app_name(app)
    check_kind(wanted, "'exempt'", bool)
    assert isinstance(app, str)  # noqa: S101  # it has been checked
    assert isinstance(wanted, bool)  # noqa: S101  # as above
    await owner.decide(app, {"exempt_from_energy_saver": wanted})
    return {"app": app, "decided": wanted, "exempt": owner.record.settings_of(app).exempt_from_energy_saver}
