"""Between an app and the agent of its user, over the agent's socket: the greeting, and how the platform stands.

What an app may send behind its hello is the table ``FROM_APPS`` of ``tocsin.actors.routes``; the door of the agent checks it.
"""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.messages.base import Message, tagged
from tocsin.protocol.network.causes import ConnectionCause


@tagged(101)
@frozen
class SessionHello(Message):
    """The first frame of an app: the version that it speaks, its name, and its package family name, if it has one."""

    version: int
    app: str
    family: str = ""


@tagged(102)
@frozen
class SessionWelcome(Message):
    """The agent's answer: the name of the session, good for as long as the socket is open.

    ``own_service`` is a frame of :class:`OwnService`, or empty where the agent uses another push service; ``standing`` is one
    of :class:`PlatformStanding`.
    """

    version: int
    session: str
    own_service: bytes
    standing: bytes


@tagged(103)
@frozen
class SessionRefused(Message):
    """The agent's answer to an app that it does not let in, its last frame; ``error`` is a class of ``tocsin.protocol.errors``."""

    error: str
    text: str
    hresult: int


@tagged(104)
@frozen
class OwnService(Message):
    """The registration of the app at the agent's own push service."""

    remote_id: str
    client_id: str
    client_secret: str
    token_url: str
    aad_token_url: str
    port_changed_from: int | None

    def __repr__(self) -> str:
        return f"OwnService({self.client_id!r})"  # the secret is for the app


@tagged(105)
@frozen
class PlatformStanding(Message):
    """How the platform stands, told in the welcome and whenever it has changed.

    ``cause`` and ``text`` say why there is no connection to the push service; ``since`` is how many seconds it has been as
    it is, ``due`` in how many there is another attempt (0: none is planned).
    """

    store_fault: str | None
    connected: bool
    cause: ConnectionCause | None
    text: str
    since: float
    due: float


@tagged(106)
@frozen
class SessionRestored(Message):
    """The agent was away, and another is there that knows nothing of this session; the app's own end of the socket says so."""


@tagged(108)
@frozen
class SessionLost(Message):
    """The agent has gone, and with it what it was asked and has not answered; the app's own end of the socket says so."""


@tagged(109)
@frozen
class SessionDismissed(Message):
    """The agent's last frame to the sessions of an app that was removed: they are not to come back; fields as ``SessionRefused``."""

    error: str
    text: str
    hresult: int
