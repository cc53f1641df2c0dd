"""What a person does about a notification that was not taken: said behind the service's own words, which are for programs."""

from __future__ import annotations

from urllib.parse import urlsplit

from tocsin.protocol.errors import ChannelGone, SenderNotAllowed, SendFailed
from tocsin.protocol.sending.sign_in import WNS_DOMAIN

_CREDENTIALS = (
    "; both are in what 'tocsin app add' or 'tocsin listen --json' has printed: 'tocsin app list' shows the ids,"
    " 'tocsin app rotate NAME' makes another secret"
)
_OTHER_APP = "; a channel takes what is sent with the client id of its own app: 'tocsin channels' shows whose it is"
_CUT_OFF = "; this URI has no token in it: copy it whole, and put it in quotes, or the shell takes it apart"
_NO_TOKENS = (
    "; tokens are to be had where 'tocsin serve' says, behind 'tokens at': --token-url names that, or may be left out"
)
_GONE = "; the app gets another when it asks for its channel again"


def mended(failure: SendFailed, uri: str) -> str:
    """Return the sentence of a failure, with what is to be done where that does not follow from it.

    :param uri: the channel's URI; nothing of it is shown.
    """
    return str(failure).removesuffix(".") + _mend(failure, uri)


def _mend(failure: SendFailed, uri: str) -> str:
    parts = urlsplit(uri)
    if isinstance(failure, ChannelGone):
        return _GONE if "token=" in parts.query else _CUT_OFF
    if isinstance(failure, SenderNotAllowed) and not (parts.hostname or "").endswith(WNS_DOMAIN):
        if failure.result.http_status == 403:
            return _OTHER_APP
        return _NO_TOKENS if str(failure).endswith("without a token") else _CREDENTIALS
    return ""
