"""Who sent this, and is it fresh: the API key, the signature and the time window of a signed request.

Owns the checks and their order: key format, timestamp and window well formed, signature, what the key may do (right,
expiry, address), age. A signature is HMAC-SHA256 in hex or Ed25519 in base64, over the same bytes: the parameters as
they were sent or, for a strict key, the whole request (`exchange/gateway/strict.py`). An unknown key is verified
against a key that nobody has, so that it takes the same path and time as a known one. Never looks at the other
parameters. Times are microseconds since the epoch, by the wall clock of the gateway.

Source: the API contract, section "Signing"; its test vectors are in `tests/gateway/test_signing.py`.
"""

from __future__ import annotations

import base64
import functools
import hmac
import re
import secrets
import time
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from exchange.gateway.address import Address
from exchange.gateway.errors import Refusal, illegal_characters, mandatory, not_valid
from exchange.gateway.faces import Face
from exchange.gateway.parameters import Params, Signed, microseconds
from exchange.gateway.strict import StrictText
from exchange.users.keys import Key, KeyKind, KeyStore, Permission, Scheme, is_api_key

RECV_WINDOW_DEFAULT_US = 5_000_000
RECV_WINDOW_MAX_US = 60_000_000
AHEAD_MAX_US = 1_000_000

_timestamp = re.compile(r"[0-9]{1,18}", re.ASCII).fullmatch
_window = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,3}))?", re.ASCII).fullmatch
HEX_CHARACTERS = 64
_NOBODY = Key(api_key="", account=0, kind=KeyKind.HMAC, permissions=frozenset(), secret=secrets.token_bytes(64))
_NOBODY_ED25519 = Key(
    api_key="",
    account=0,
    kind=KeyKind.ED25519,
    permissions=frozenset(),
    public_key=Ed25519PrivateKey.generate().public_key().public_bytes_raw(),
)


class Call:
    """A verified request: whose it is, what it asks, when it was sent, and in which spelling.

    `unit_ns` is the unit in which the client wants times (nanoseconds a unit).
    """

    __slots__ = ("face", "key", "params", "sent_us", "unit_ns", "window_us")

    def __init__(self, face: Face, key: Key, params: Params, sent_us: int, window_us: int, unit_ns: int) -> None:
        self.face = face
        self.key = key
        self.params = params
        self.sent_us = sent_us
        self.window_us = window_us
        self.unit_ns = unit_ns

    def check_age(self) -> None:
        """Refuse what has grown too old since it came, or comes from the future; run again right before the ring."""
        self.check_age_at(time.time_ns() // 1000)

    def check_age_at(self, now_us: int) -> None:
        """The same, with the time at hand."""
        age_us = now_us - self.sent_us
        if age_us > self.window_us:
            raise Refusal(400, -1021, "Timestamp for this request is outside of the recvWindow.")
        if age_us <= -AHEAD_MAX_US:
            raise Refusal(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def signature_matches(key: Key, payload: bytes, signature: str) -> bool:
    """Whether `signature` (HMAC: hex, any case; Ed25519: base64) is that key's of `payload`; never raises.

    Takes the same time for every wrong signature of the right form.
    """
    if key.verifier is not None:
        return _ed25519_matches(key.verifier, payload, signature)
    try:
        given = bytes.fromhex(signature)
    except ValueError:
        given = b""
    return hmac.compare_digest(hmac.digest(key.secret, payload, "sha256"), given)


def _ed25519_matches(verifier: Ed25519PublicKey, payload: bytes, signature: str) -> bool:
    try:
        verifier.verify(base64.b64decode(signature, validate=True), payload)
    except (ValueError, InvalidSignature):
        return False
    return True


@functools.lru_cache(maxsize=256)
def _window_us(text: str) -> int:
    match = _window(text)
    if match is None:
        raise illegal_characters("recvWindow", r"^([0-9]{1,9})(\.[0-9]{1,3})?$")
    window_us = int(match[1] + (match[2] or "").ljust(3, "0"))
    if window_us > RECV_WINDOW_MAX_US:
        raise not_valid("recvWindow")
    return window_us


def authenticate(
    face: Face,
    keys: KeyStore,
    api_keys: list[str],
    signed: Signed,
    permission: Permission | None,
    unit_ns: int,
    client: Callable[[], Address],
    strict: StrictText | None = None,
) -> Call:
    """The verified call. `api_keys`: every X-MBX-APIKEY header that came; `client` tells where from. Raises Refusal.

    `permission` None: any right will do. `strict` makes the text that a strict key signs; None: such a key can not be
    used here.
    """
    key = _named(keys, api_keys)
    params = signed.params
    sent_us, window_us = _times(params)
    signature = signed.signature
    if not signature:
        raise mandatory("signature")
    if key is None:
        signature_matches(_NOBODY if len(signature) == HEX_CHARACTERS else _NOBODY_ED25519, signed.payload, signature)
        raise denied()
    payload: bytes | None = signed.payload
    if key.scheme is Scheme.STRICT:
        payload = None if strict is None else strict(params["timestamp"], key.api_key)
    if payload is None or not signature_matches(key, payload, signature):
        raise Refusal(400, -1022, "Signature for this request is not valid.")
    now_us = time.time_ns() // 1000
    _check_right(key, permission, now_us, client)
    call = Call(face, key, params, sent_us, window_us, unit_ns)
    call.check_age_at(now_us)
    return call


def vouched(
    face: Face,
    keys: KeyStore,
    key: Key,
    params: Params,
    permission: Permission | None,
    unit_ns: int,
    client: Callable[[], Address],
) -> Call:
    """The call of a session that was opened with `key`: everything is checked but the signature. Raises Refusal."""
    sent_us, window_us = _times(params)
    if keys.find(key.api_key) is not key:
        raise denied()
    now_us = time.time_ns() // 1000
    _check_right(key, permission, now_us, client)
    call = Call(face, key, params, sent_us, window_us, unit_ns)
    call.check_age_at(now_us)
    return call


def keyed(
    face: Face,
    keys: KeyStore,
    api_keys: list[str],
    params: Params,
    permission: Permission,
    unit_ns: int,
    client: Callable[[], Address],
) -> Call:
    """The call of whoever knows the name of a key; nothing is signed, so a strict key is refused. Raises Refusal."""
    key = _named(keys, api_keys)
    if key is None or key.scheme is Scheme.STRICT:
        raise denied()
    return timeless(face, key, params, permission, unit_ns, client)


def timeless(
    face: Face, key: Key, params: Params, permission: Permission, unit_ns: int, client: Callable[[], Address]
) -> Call:
    """The call of a key that counts, for what needs no time and no signature: only its right is checked."""
    now_us = time.time_ns() // 1000
    _check_right(key, permission, now_us, client)
    return Call(face, key, params, now_us, RECV_WINDOW_MAX_US, unit_ns)


def anonymous(face: Face, params: Params, unit_ns: int) -> Call:
    """The call of anybody."""
    return Call(face, _NOBODY, params, 0, 0, unit_ns)


def _named(keys: KeyStore, api_keys: list[str]) -> Key | None:
    key = keys.find(api_keys[0]) if len(api_keys) == 1 else None
    if key is None and (len(api_keys) != 1 or not is_api_key(api_keys[0])):
        raise Refusal(401, -2014, "API-key format invalid.")
    return key


def _times(params: Params) -> tuple[int, int]:
    """(when it was sent, how old it may be) in microseconds."""
    stamp = params.get("timestamp", "")
    if not _timestamp(stamp):
        raise mandatory("timestamp")
    window_us = _window_us(params["recvWindow"]) if "recvWindow" in params else RECV_WINDOW_DEFAULT_US
    return microseconds(int(stamp)), window_us


def _check_right(key: Key, permission: Permission | None, now_us: int, client: Callable[[], Address]) -> None:
    until_us = max(key.until_us.values()) if permission is None else key.until_us.get(permission, 0)
    if now_us >= until_us or (key.addresses and not key.is_from(client())):
        raise denied()


def denied() -> Refusal:
    """What a key is told that does not exist, or may not do this, or not from there: always the same."""
    return Refusal(401, -2015, "Invalid API-key, IP, or permissions for action.")
