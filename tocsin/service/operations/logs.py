"""Log lines: each that concerns a message bears the message's id and trace; none bears a secret, a token or a URI."""

from __future__ import annotations

import json
import logging
import time
from contextvars import ContextVar
from typing import Any, TextIO

from tocsin.protocol.text import harmless

message_id: ContextVar[str] = ContextVar("message_id", default="")
"""The ``X-WNS-Msg-ID`` of the message that the running task answers."""

trace: ContextVar[str] = ContextVar("trace", default="")
"""Its ``X-WNS-Debug-Trace``."""

_FIELDS = "fields"  # the name under which a record has fields of its own

LEVELS = ("debug", "info", "warning", "error")


def with_fields(event: str, **fields: Any) -> dict[str, Any]:
    """Return what makes a line that programs read: ``extra`` of a call of a logger.

    :param event: the name of what has happened, by which such lines are found.
    :param fields: what JSON can hold, and no line may not bear: no secret, token or URI, nor what strangers have made up.
    """
    return {_FIELDS: {"event": event, **fields}}


class TextLines(logging.Formatter):
    """A line for a person; control characters in it are shown as escapes, as are line ends: no text makes two lines."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the base class's name
        """Show a traceback, whose lines are its own."""
        return "\n".join(map(harmless, super().formatException(ei).split("\n")))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class's name
        """Put the message's id and trace at the end."""
        line = harmless(super().formatMessage(record))
        id = message_id.get()  # noqa: A001 - the field's name
        return f"{line} [id {id}, trace {trace.get()}]" if id else line


class JsonLogFormatter(logging.Formatter):
    """An object a line, for a program."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the fields that the record has."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if message_id.get():
            fields |= {"msg_id": message_id.get(), "trace": trace.get()}
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def set_up_logs(stream: TextIO, level: str, *, as_json: bool) -> None:
    """Log everything of ours from that level on to the stream.

    The library of WebSockets would tell of each stranger that sends nonsense; counters do that.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLogFormatter() if as_json else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("tocsin.frames").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
