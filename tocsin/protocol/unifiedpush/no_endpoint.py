"""Why a connector gets no endpoint, in the words that it reads, and what that means for its registration."""

from __future__ import annotations

from tocsin.protocol.network.causes import LASTING, ConnectionCause
from tocsin.protocol.unifiedpush.connector_registration import Event, Phase
from tocsin.protocol.unifiedpush.distributor_call import Reason, RegistrationRefusal


def refusal_without_endpoint(
    *, connected: bool, cause: ConnectionCause | None, text: str, fault: str
) -> RegistrationRefusal:
    """Decide what to answer where no endpoint has come in time.

    :param connected: whether there is a connection to the push service.
    :param cause: why there is none, and ``text`` in a sentence.
    :param fault: what the push service, or the user's settings, have against an endpoint; empty where nothing was said.
    """
    if fault and connected:
        return RegistrationRefusal(Reason.ACTION_REQUIRED, fault)
    if connected:
        return RegistrationRefusal(Reason.INTERNAL_ERROR, "the push service has not answered in time")
    reason = Reason.ACTION_REQUIRED if cause in LASTING else Reason.NETWORK
    return RegistrationRefusal(reason, text or "there is no connection to the push service yet")


def event_without_endpoint(phase: Phase, reason: Reason) -> Event | None:
    """Decide which event it is that its app is told of no endpoint, and why; None where it is told of one, or was told before."""
    if phase is not Phase.REGISTERING:
        return None
    return Event.NO_NETWORK if reason is Reason.NETWORK else Event.NO_ENDPOINT
