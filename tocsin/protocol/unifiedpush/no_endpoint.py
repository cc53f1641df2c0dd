"""Why a connector gets no endpoint, in the words that it reads."""

from __future__ import annotations

from tocsin.protocol.network.causes import LASTING, ConnectionCause
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
