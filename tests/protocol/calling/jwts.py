"""JWTs as a calling service signs them, for tests that read them: their signature is none."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

SIGNATURE = "c2lnbmVk"


def part(document: Any) -> str:
    """Write one part of a JWT."""
    encoded = document if isinstance(document, bytes) else json.dumps(document).encode()
    return urlsafe_b64encode(encoded).decode().rstrip("=")


def jwt(claims: Any) -> str:
    """Write a JWT with these claims."""
    return f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.{SIGNATURE}"
