"""Signed forms between this exchange and a service: HMAC-SHA256 over the form, which holds the time it was made.

    reference=...&level=2&status=approved&timestamp=1760000000000&signature=HEX

The signature covers everything before it, as it is sent. Owns that form and how old one may be.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from urllib.parse import urlencode

AGE_MAX_S = 300
AHEAD_MAX_S = 60


def sign(secret: str, payload: bytes) -> str:
    """The signature of a payload, hex."""
    return hmac.digest(secret.encode(), payload, "sha256").hex()


def signed_form(secret: str, fields: Mapping[str, object], *, now_s: float | None = None) -> bytes:
    """The body of a signed request."""
    stamp = int((time.time() if now_s is None else now_s) * 1000)
    payload = urlencode({**fields, "timestamp": stamp}).encode()
    return payload + b"&signature=" + sign(secret, payload).encode()


def is_genuine(secret: str, payload: bytes, signature: str, stamp_ms: int, *, now_s: float | None = None) -> bool:
    """Whether a form is from who knows the secret, and was made now; never raises."""
    try:
        given = bytes.fromhex(signature)
    except ValueError:
        given = b""
    age_s = (time.time() if now_s is None else now_s) - stamp_ms / 1000
    fits = hmac.compare_digest(hmac.digest(secret.encode(), payload, "sha256"), given)
    return fits and -AHEAD_MAX_S <= age_s <= AGE_MAX_S
