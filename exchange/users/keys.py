"""What an API key is: its name, whose it is, how it signs, what it may do, from where and until when.

Owns the rules for new keys and the drawing of names and secrets. A key never changes: it is made, it is used, it is
revoked. `repr` of a key shows no secret. A key whose name begins with `demo` is a demo key, which counts in demo mode
only. The engine knows a key by its number, which follows from its name; names are drawn so that no two have one number.

Times are microseconds since the epoch.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import ipaddress
import re
import secrets
import string
from collections.abc import Iterable, Set
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from exchange.core.state import KEY_MAX
from exchange.users.errors import NotAcceptable

API_KEY_PATTERN = r"[A-Za-z0-9_-]{16,128}"
DEMO_PREFIX = "demo"
KEY_CHARACTERS = 64
LABEL_CHARACTERS_MAX = 64
ADDRESSES_MAX = 30
SYMBOLS_MAX = 100
NEVER_US = (1 << 63) - 1
EXPIRY_MAX_US = 253_402_300_799_999_999
"""The end of the year 9999: later moments fit neither into PostgreSQL's arithmetic nor into an operator's calendar."""
_PUBLIC_KEY_BYTES = 32
_SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 public key in DER (RFC 8410)."""
_ALPHABET = string.ascii_letters + string.digits
_label = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{0,{LABEL_CHARACTERS_MAX}}}").fullmatch
_ARMOUR = re.compile(r"-----(?:BEGIN|END) PUBLIC KEY-----")
_API_KEY = re.compile(API_KEY_PATTERN, re.ASCII)

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class KeyRefused(NotAcceptable):
    """A key that may not be made."""


class KeysUnusable(Exception):
    """Keys that are kept can not be used; the text is a sentence that says why and what to do."""


class Permission(enum.StrEnum):
    """What a key may do."""

    READ = "read"
    TRADE = "trade"
    WITHDRAW = "withdraw"


class KeyKind(enum.StrEnum):
    """How a key signs. Of an ED25519 key only the public half is here."""

    HMAC = "HMAC"
    ED25519 = "ED25519"


class Scheme(enum.StrEnum):
    """What the signatures of a key cover."""

    PLAIN = "plain"
    """The parameters, as Binance has it."""
    STRICT = "strict"
    """The whole request (`exchange/gateway/strict.py`); nothing else counts for such a key."""


def number_of(api_key: str) -> int:
    """The number of the key of that name, 1..KEY_MAX."""
    return int.from_bytes(hashlib.sha256(api_key.encode()).digest()[:8], "big") % KEY_MAX + 1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Key:
    """One API key. `account` is the engine's id, `label` is for people; no `addresses`: from anywhere.

    `secret` is empty for an ED25519 key, `public_key` for an HMAC key.
    """

    api_key: str
    account: int
    kind: KeyKind
    permissions: frozenset[Permission]
    scheme: Scheme = Scheme.PLAIN
    secret: bytes = field(default=b"", repr=False)
    public_key: bytes = b""
    addresses: tuple[Network, ...] = ()
    symbols: frozenset[str] = frozenset()
    """What its new orders may be on, as the engine spells it; none: every symbol."""
    label: str = ""
    created_us: int = 0
    expires_us: int = NEVER_US
    until_us: dict[Permission, int] = field(init=False, repr=False)
    """Each right, and the moment from which it does not count any more: one lookup for each request."""
    verifier: Ed25519PublicKey | None = field(init=False, repr=False)
    number: int = field(init=False)
    """By which the engine knows it: rules, mass cancels and countdowns of a key name this."""
    unrestricted_us: int = field(default=NEVER_US, repr=False)
    """How long a key without addresses may trade."""

    def __post_init__(self) -> None:
        until = dict.fromkeys(self.permissions, self.expires_us)
        if Permission.TRADE in until and not self.addresses and not self.is_demo:
            until[Permission.TRADE] = min(self.expires_us, self.created_us + self.unrestricted_us)
        object.__setattr__(self, "until_us", until)
        object.__setattr__(self, "number", number_of(self.api_key))
        is_ed25519 = self.kind is KeyKind.ED25519
        object.__setattr__(
            self, "verifier", Ed25519PublicKey.from_public_bytes(self.public_key) if is_ed25519 else None
        )

    @property
    def is_demo(self) -> bool:
        """Whether it is refused outside demo mode."""
        return self.api_key.startswith(DEMO_PREFIX)

    def may_trade(self, symbol: str) -> bool:
        """Whether its new orders may be on a symbol, named as the engine does."""
        return not self.symbols or symbol in self.symbols

    def is_from(self, address: Address) -> bool:
        """Whether a request from that address may use it; an IPv4 address does not come in IPv6 clothes."""
        return not self.addresses or any(address in network for network in self.addresses)


def view(key: Key, unit_ns: int) -> dict[str, Any]:
    """What its owner and the operator may see of a key, times in units of `unit_ns`: everything but the secret."""

    def time(moment_us: int) -> int | None:
        return None if moment_us >= NEVER_US else moment_us * 1000 // unit_ns

    return {
        "apiKey": key.api_key,
        "number": key.number,
        "account": key.account,
        "type": str(key.kind),
        "signature": str(key.scheme),
        "permissions": sorted(map(str, key.permissions)),
        "addresses": list(map(str, key.addresses)),
        "symbols": sorted(key.symbols),
        "label": key.label,
        "createdAt": time(key.created_us),
        "expiresAt": time(key.expires_us),
        "tradeUntil": time(key.until_us.get(Permission.TRADE, NEVER_US)),
    }


class KeyStore(Protocol):
    """Where the gateway finds keys; an answer must be at hand, so the store keeps them in memory."""

    def find(self, api_key: str) -> Key | None:
        """The key of that name that may be used now, or None."""


def is_api_key(text: str) -> bool:
    """Whether a text has the form of a key's name."""
    return _API_KEY.fullmatch(text) is not None


def draw_secret() -> str:
    """64 random letters and digits, which hold 381 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(KEY_CHARACTERS))


def draw_name(prefix: str = "") -> str:
    """The name of a new key; only what asks for it begins like a demo key."""
    name = prefix + draw_secret()[len(prefix) :]
    while name.startswith(DEMO_PREFIX) and not prefix:
        name = draw_secret()
    return name


def public_key(text: str) -> bytes:
    """The 32 bytes of an Ed25519 public key: PEM, or base64 of DER or of the bytes themselves. Raises KeyRefused."""
    body = "".join(_ARMOUR.sub("", text).split())
    try:
        found = base64.b64decode(body, validate=True).removeprefix(_SPKI)
    except ValueError:
        found = b""
    if len(found) != _PUBLIC_KEY_BYTES:
        raise KeyRefused("The public key is not an Ed25519 public key as PEM, or in base64.")
    return found


def permissions(texts: Iterable[str]) -> frozenset[Permission]:
    """Permissions by their names; none: read. Raises KeyRefused."""
    try:
        return frozenset(map(Permission, texts)) or frozenset((Permission.READ,))
    except ValueError:
        raise KeyRefused("A permission is one of read, trade, withdraw.") from None


def scheme(text: str) -> Scheme:
    """A scheme by its name. Raises KeyRefused."""
    try:
        return Scheme(text)
    except ValueError:
        raise KeyRefused("A signature is plain or strict.") from None


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks such as 203.0.113.7, 10.0.0.0/8, 2001:db8::/32. Raises KeyRefused."""
    found: list[Network] = []
    for text in texts:
        try:
            network = ipaddress.ip_network(text)
        except ValueError:
            shown = text if text.isascii() and text.isprintable() and len(text) <= 64 else "?"
            raise KeyRefused(f"'{shown}' is not an address, nor a network such as 10.0.0.0/8 or fd00::/8.") from None
        found.append(_unmapped(network))
    if len(found) > ADDRESSES_MAX:
        raise KeyRefused(f"A key may have at most {ADDRESSES_MAX} addresses.")
    return tuple(dict.fromkeys(found))


def symbols(names: Iterable[str], known: Set[str]) -> frozenset[str]:
    """The symbols of a key. Raises KeyRefused for one that is not `known`, and for too many."""
    found = frozenset(names)
    if found - known:
        raise KeyRefused("A symbol of a key must be one of the venue, such as BTC_USDT.")
    if len(found) > SYMBOLS_MAX:
        raise KeyRefused(f"A key may have at most {SYMBOLS_MAX} symbols; without a list it may trade on all.")
    return found


def _unmapped(network: Network) -> Network:
    """::ffff:10.0.0.0/104 is 10.0.0.0/8: requests are compared as IPv4."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.ip_network((mapped, network.prefixlen - 96))


def check_new(key: Key, *, now_us: int, totp_enabled: bool) -> None:
    """Refuse a key that may not be made. Raises KeyRefused."""
    if not key.permissions:
        raise KeyRefused("A key must have a permission: read, trade or withdraw.")
    if Permission.WITHDRAW in key.permissions and not key.addresses:
        raise KeyRefused("A key that may withdraw must have a list of addresses.")
    if Permission.WITHDRAW in key.permissions and not totp_enabled:
        raise KeyRefused("A key may withdraw only when its owner has two-factor authentication turned on.")
    if not _label(key.label):
        raise KeyRefused(
            f"A label has at most {LABEL_CHARACTERS_MAX} characters and none of them is a control character."
        )
    if key.expires_us <= now_us:
        raise KeyRefused("The key would have expired already.")
    if EXPIRY_MAX_US < key.expires_us < NEVER_US:
        raise KeyRefused("The key would expire after the year 9999; leave the expiry out.")
