"""What an embedded service knows its app by."""

from __future__ import annotations

import shlex
from urllib.parse import urljoin

from attrs import field, frozen


@frozen
class Registration:
    """The app's registration at its own embedded service: what a sender needs besides the channel's URI."""

    remote_id: str
    """The GUID to request channels with."""
    client_id: str
    client_secret: str = field(repr=False)
    token_url: str
    """Where a sender gets a token, by the form of the Microsoft account."""
    aad_token_url: str
    """Where a sender gets a token, by the form of Entra ID."""
    port_changed_from: int | None = None
    """The port that the service had before, where it was taken and another was chosen; earlier URIs are void then."""

    @property
    def page_url(self) -> str:
        """The page of the service, for a browser on this machine."""
        return urljoin(self.token_url, "/")

    def send_line(self, uri: str, body: str = "Hello") -> str:
        """Return the line for a shell that pushes to a channel of the app: it has the URI and the client secret in it."""
        secrets = ["--client-id", self.client_id, "--client-secret", self.client_secret]
        return shlex.join(["tocsin", "send", uri, body, *secrets])
