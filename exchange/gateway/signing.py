"""Who sent this, and is it fresh: the API key, the HMAC-SHA256 signature and the time window of a signed request.

Owns the checks and their order: key format, timestamp and window well formed, signature, age, permission. An unknown
key is verified against a secret that nobody has, so that it takes the same path and time as a known one. Never looks at
the other parameters. Times are microseconds since the epoch, by the wall clock of the gateway.

Source: the API contract, section "Signing"; its test vectors are in `tests/gateway/test_signing.py`.
"""

from __future__ import annotations

import functools
import hmac
import re
import secrets
import time

from exchange.gateway.errors import Refusal, illegal_characters, mandatory, not_valid
from exchange.gateway.keys import API_KEY_PATTERN, Key, KeyStore, Permission
from exchange.gateway.parameters import Params, Signed

RECV_WINDOW_DEFAULT_US = 5_000_000
RECV_WINDOW_MAX_US = 60_000_000
AHEAD_MAX_US = 1_000_000
_MICROSECONDS_FROM = 10**14
"""A timestamp of this size or more is in microseconds: in milliseconds it would be the year 5138."""

_api_key = re.compile(API_KEY_PATTERN, re.ASCII).fullmatch
_timestamp = re.compile(r"[0-9]{1,18}", re.ASCII).fullmatch
_window = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,3}))?", re.ASCII).fullmatch
_NOBODY = Key("", secrets.token_hex(32), 0, frozenset())


class Call:
    """A verified request: whose it is, what it asks, and when it was sent.

    `unit_ns` is the unit in which the client wants times (nanoseconds a unit).
    """

    __slots__ = ("key", "params", "sent_us", "unit_ns", "window_us")

    def __init__(self, key: Key, params: Params, sent_us: int, window_us: int, unit_ns: int) -> None:
        self.key = key
        self.params = params
        self.sent_us = sent_us
        self.window_us = window_us
        self.unit_ns = unit_ns

    def check_age(self) -> None:
        """Refuse what has grown too old since it came, or comes from the future; run again right before the ring."""
        age_us = time.time_ns() // 1000 - self.sent_us
        if age_us > self.window_us:
            raise Refusal(400, -1021, "Timestamp for this request is outside of the recvWindow.")
        if age_us <= -AHEAD_MAX_US:
            raise Refusal(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def signature_matches(secret: str, payload: bytes, signature: str) -> bool:
    """Whether `signature` (hex, any case) is the HMAC-SHA256 of `payload`; constant time, never raises."""
    try:
        given = bytes.fromhex(signature)
    except ValueError:
        given = b""
    return hmac.compare_digest(hmac.digest(secret.encode("ascii"), payload, "sha256"), given)


@functools.lru_cache(maxsize=256)
def _window_us(text: str) -> int:
    match = _window(text)
    if match is None:
        raise illegal_characters("recvWindow", r"^([0-9]{1,9})(\.[0-9]{1,3})?$")
    window_us = int(match[1] + (match[2] or "").ljust(3, "0"))
    if window_us > RECV_WINDOW_MAX_US:
        raise not_valid("recvWindow")
    return window_us


def authenticate(keys: KeyStore, api_keys: list[str], signed: Signed, permission: Permission, unit_ns: int) -> Call:
    """The verified call. `api_keys`: every X-MBX-APIKEY header that came. Raises Refusal."""
    key = keys.find(api_keys[0]) if len(api_keys) == 1 else None
    if key is None and (len(api_keys) != 1 or not _api_key(api_keys[0])):
        raise Refusal(401, -2014, "API-key format invalid.")
    params = signed.params
    stamp = params.get("timestamp", "")
    if not _timestamp(stamp):
        raise mandatory("timestamp")
    window_us = _window_us(params["recvWindow"]) if "recvWindow" in params else RECV_WINDOW_DEFAULT_US
    if not signed.signature:
        raise mandatory("signature")
    matches = signature_matches((key or _NOBODY).secret, signed.payload, signed.signature)
    if key is None or (matches and permission not in key.permissions):
        raise Refusal(401, -2015, "Invalid API-key, IP, or permissions for action.")
    if not matches:
        raise Refusal(400, -1022, "Signature for this request is not valid.")
    sent = int(stamp)
    call = Call(key, params, sent if sent >= _MICROSECONDS_FROM else sent * 1000, window_us, unit_ns)
    call.check_age()
    return call
