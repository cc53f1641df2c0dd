"""The codings that messages of Web Push are encrypted in, and how long their parts are, in bytes."""

from __future__ import annotations

from typing import Final

AES128GCM: Final = "aes128gcm"
"""That of RFC 8188: all that its reader needs stands before the records."""

AESGCM: Final = "aesgcm"
"""That of the drafts before it, which some senders speak still: two headers have what its reader needs."""

SALT: Final = 16

TAG: Final = 16
"""Behind the content of each record."""

HEAD: Final = SALT + 4 + 1
"""What a body in ``aes128gcm`` has before the sender's key: salt, size of a record, length of the key (RFC 8188 §2.1)."""

LEAST_RECORD: Final = TAG + 2
"""A tag, a delimiter and a byte (RFC 8188 §2)."""
