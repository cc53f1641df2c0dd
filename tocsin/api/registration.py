"""What an embedded service knows its app by."""

from __future__ import annotations

import shlex
import shutil
import sysconfig
from urllib.parse import urljoin

from attrs import field, frozen

from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted


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
        """Return the line for a shell that pushes to a channel of the app: it has the URI and the client secret in it.

        :raises InvalidArgument: the body is no text, or a dash alone, by which the command names standard input.
        """
        check_kind(body, "the body", str)
        if body == "-" or "\0" in body:
            raise InvalidArgument(f"no command line can have the body {quoted(body)}")
        secrets = ["--client-id", self.client_id, "--client-secret", self.client_secret]
        if body.startswith("-"):
            return shlex.join([own_command(), "send", *secrets, "--", uri, body])
        text = f"@{body}" if body.startswith("@") else body  # one would be a file's
        return shlex.join([own_command(), "send", uri, text, *secrets])


def own_command() -> str:
    """Name the command of this Python: by its path where another terminal, in no environment, would not find it by name."""
    own = shutil.which("tocsin", path=sysconfig.get_path("scripts"))
    return "tocsin" if own is None or own == shutil.which("tocsin") else own
