"""The settings: every name, default, rule and meaning in one table, and the typed values that a process runs with.

Owns `SETTINGS`, from which `--help`, `docs/api.md` and the tests are made, and `load`, which turns an environment into
`Settings`. Never reads the environment by itself, never touches the disk, never prints a secret: the message about a
wrong one says only which rule it breaks.

Durations are written as in `250ms`, `15s`, `30m`, `24h`, or as plain seconds.
"""

from __future__ import annotations

import ipaddress
import pathlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SECRET_CHARACTERS_MIN = 16
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h)?", re.ASCII)
_DURATION_SECONDS = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_INTEGER = re.compile(r"[0-9]{1,18}", re.ASCII)


class SettingError(Exception):
    """A value that can not be used; the text is one sentence that names variable, value and rule."""


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words that follow "must be", and the function that reads it (ValueError: it is not)."""

    words: str
    read: Callable[[str], Any]


def _integer(low: int, high: int, *, power_of_two: bool = False, multiple: int = 1) -> Rule:
    words = f"a whole number from {low} to {high}"
    if power_of_two:
        words += " that is a power of two"
    if multiple > 1:
        words += f" that is a multiple of {multiple}"

    def read(text: str) -> int:
        if not _INTEGER.fullmatch(text):
            raise ValueError(text)
        value = int(text)
        if not low <= value <= high or value % multiple or (power_of_two and value & (value - 1)):
            raise ValueError(text)
        return value

    return Rule(words, read)


def _seconds(low: float, high: float) -> Rule:
    def read(text: str) -> float:
        match = _DURATION.fullmatch(text)
        if match is None:
            raise ValueError(text)
        value = int(match[1]) * _DURATION_SECONDS[match[2]]
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return Rule(f"a duration such as 15s, 30m or 24h, from {low:g} to {high:g} seconds", read)


def _choice(*options: str) -> Rule:
    def read(text: str) -> str:
        if text not in options:
            raise ValueError(text)
        return text

    return Rule("one of " + ", ".join(options), read)


def _text(pattern: str, words: str) -> Rule:
    compiled = re.compile(pattern, re.ASCII)

    def read(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(text)
        return text

    return Rule(words, read)


def _path() -> Rule:
    def read(text: str) -> pathlib.Path:
        if not text or "\0" in text:
            raise ValueError(text)
        return pathlib.Path(text)

    return Rule("a path", read)


_ANYTHING = _text(r"[^\x00-\x1f\x7f]{0,255}", "at most 255 characters without control characters")
_HOST = _text(r"[A-Za-z0-9_.:%-]{1,253}", "a host name or an address")
_SECRET_PATTERN = rf"[\x21-\x7e]{{{SECRET_CHARACTERS_MIN},4096}}"
_SECRET_WORDS = f"{SECRET_CHARACTERS_MIN} or more printable ASCII characters without blanks"
_SECRET = _text(_SECRET_PATTERN, _SECRET_WORDS)


_OPTIONAL_SECRET = _text(rf"|{_SECRET_PATTERN}", f"empty, or {_SECRET_WORDS}")
_URL = _text(r"|https?://[\x21-\x7e]{1,2000}", "an address that begins with http:// or https://")
MASTER_KEY_BYTES = 32


def _master_key(text: str) -> bytes:
    if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * MASTER_KEY_BYTES}}}", text, re.ASCII):
        raise ValueError(text)
    return bytes.fromhex(text)


_MASTER_KEY = Rule(
    f"{MASTER_KEY_BYTES} random bytes as {2 * MASTER_KEY_BYTES} hex digits (openssl rand -hex {MASTER_KEY_BYTES})",
    _master_key,
)


def _keep() -> Rule:
    """A duration, or None for ever."""
    duration = _seconds(0, 100 * 366 * 86400)
    return Rule(
        "forever, or a duration such as 24h, from 0 to 3162240000 seconds",
        lambda text: None if text == "forever" else duration.read(text),
    )


def _networks() -> Rule:
    def read(text: str) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(piece.strip()) for piece in text.split(",") if piece.strip())

    return Rule("addresses or networks such as 10.0.0.0/8, fd00::/8, separated by commas", read)


@dataclass(frozen=True)
class Setting:
    """One line of the table. `field` is the attribute of `Settings`; "" when the value is accepted and not used."""

    name: str
    field: str
    default: str
    rule: Rule
    meaning: str
    secret: bool = False

    @property
    def required(self) -> bool:
        """Whether it must be set outside demo mode."""
        return self.rule in (_SECRET, _MASTER_KEY)


SETTINGS: tuple[Setting, ...] = (
    Setting("SERVICE_NAME", "service_name", "exchange",
            _text(r"[A-Za-z0-9_.-]{1,64}", "1 to 64 letters, digits, dots, dashes or underscores"),
            "name in /health and in the log"),
    Setting("HTTP_PORT", "http_port", "8080", _integer(0, 65535),
            "port of the REST edge; 0 takes a free one (see ports.json in the data directory)"),
    Setting("WS_PORT", "ws_port", "8094", _integer(0, 65535),
            "port of the WebSocket edge; 0 takes a free one"),
    Setting("INTERNAL_TOKEN", "internal_token", "", _SECRET,
            "token between services; required outside demo mode", secret=True),
    Setting("AUTH_TOKEN_SECRET", "auth_token_secret", "", _SECRET,
            "binds bearer tokens to this venue: a new one ends every session; required outside demo mode", secret=True),
    Setting("AUTH_TOKEN_TTL", "auth_token_ttl_s", "24h", _seconds(60, 31 * 86400),
            "how long a bearer token lives"),
    Setting("EXCHANGE_DATA_DIR", "data_dir", "./var", _path(),
            "where journals, snapshots and keys lie"),
    Setting("EXCHANGE_HOST", "host", "127.0.0.1", _HOST,
            "address that both ports listen on"),
    Setting("EXCHANGE_SYNC", "sync", "always", _choice("always", "off"),
            "always: acknowledged after fdatasync; off: after the write, for test venues"),
    Setting("EXCHANGE_SEGMENT_BYTES", "segment_bytes", "67108864", _integer(1 << 16, 1 << 34, multiple=4096),
            "size of a journal segment"),
    Setting("EXCHANGE_RING_SLOTS", "ring_slots", "65536", _integer(64, 1 << 22, power_of_two=True),
            "commands that may be in flight"),
    Setting("EXCHANGE_SNAPSHOT_EVERY", "snapshot_every", "1000000", _integer(1, 10**12),
            "commands between two snapshots"),
    Setting("EXCHANGE_SNAPSHOT_INTERVAL", "snapshot_interval_s", "10m", _seconds(1, 7 * 86400),
            "time between two snapshots, when there was a command"),
    Setting("EXCHANGE_HASH_EVERY", "hash_every", "1000000", _integer(1, 10**12),
            "commands between two journaled state hashes"),
    Setting("EXCHANGE_HASH_INTERVAL", "hash_interval_s", "10m", _seconds(1, 7 * 86400),
            "time between two journaled state hashes, when there was a command"),
    Setting("EXCHANGE_DEPTH_INTERVAL", "depth_interval_s", "100ms", _seconds(0.01, 60),
            "time between two publications of a book"),
    Setting("EXCHANGE_STOP_TIMEOUT", "stop_timeout_s", "10s", _seconds(0.1, 600),
            "time that a graceful stop may take"),
    Setting("EXCHANGE_ORDER_TIMEOUT", "order_timeout_s", "10s", _seconds(0.1, 600),
            "after this an unanswered request is told that its outcome is unknown"),
    Setting("EXCHANGE_BODY_BYTES", "body_bytes", "16384", _integer(1024, 1 << 20),
            "largest request body"),
    Setting("EXCHANGE_BODY_TIMEOUT", "body_timeout_s", "5s", _seconds(0.1, 60),
            "time that a request body may take to arrive"),
    Setting("EXCHANGE_KEEPALIVE_TIMEOUT", "keepalive_timeout_s", "15s", _seconds(0.1, 3600),
            "time that a connection may be idle, or take to send its headers"),
    Setting("EXCHANGE_CONNECTIONS_MAX", "connections_max", "1000", _integer(1, 100_000),
            "REST connections at one time; further ones are closed at once"),
    Setting("EXCHANGE_NUMBA_CACHE", "", "", _ANYTHING,
            "folder of the compiled kernels; read by exchange/core/compile.py, default the user's cache folder"),
    Setting("EXCHANGE_DATABASE", "database", "on", _choice("on", "off"),
            "on: PostgreSQL keeps users and history; off: trading only, without either"),
    Setting("EXCHANGE_PG_BIN", "", "", _ANYTHING,
            "folder of the PostgreSQL programs of the embedded server; default the installed package's"),
    Setting("DB_HOST", "db_host", "", _ANYTHING,
            "PostgreSQL host, 15 or newer; without it an embedded server runs in the data directory"),
    Setting("DB_PORT", "db_port", "5432", _integer(1, 65535),
            "PostgreSQL port"),
    Setting("DB_USER", "db_user", "exchange", _ANYTHING,
            "PostgreSQL user"),
    Setting("DB_PASSWORD", "db_password", "", _ANYTHING,
            "PostgreSQL password", secret=True),
    Setting("DB_NAME", "db_name", "exchange", _ANYTHING,
            "PostgreSQL database"),
    Setting("DB_SSL_MODE", "db_ssl_mode", "prefer",
            _choice("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
            "PostgreSQL TLS"),
    Setting("DB_MAX_OPEN_CONNS", "db_max_open_conns", "50", _integer(1, 10_000),
            "PostgreSQL pool, largest"),
    Setting("DB_MAX_IDLE_CONNS", "db_max_idle_conns", "10", _integer(0, 10_000),
            "PostgreSQL pool, idle connections that are kept"),
    Setting("DB_CONN_MAX_LIFETIME", "db_conn_max_lifetime_s", "30m", _seconds(1, 7 * 86400),
            "PostgreSQL pool, life of a connection"),
    Setting("DB_CONN_MAX_IDLE_TIME", "db_conn_max_idle_time_s", "5m", _seconds(1, 7 * 86400),
            "PostgreSQL pool, idle life of a connection"),
    Setting("EXCHANGE_HISTORY_TIMEOUT", "history_timeout_s", "2s", _seconds(0.01, 60),
            "time that a history request waits for the projection before it is told that history is behind"),
    Setting("EXCHANGE_PROJECTION_EVENTS", "projection_events", "20000", _integer(1, 1_000_000),
            "events that the projector writes in one transaction, about"),
    Setting("EXCHANGE_EVENTS_KEEP", "events_keep_s", "forever", _keep(),
            "how long event journal segments are kept after PostgreSQL has them; a rebuild needs them all"),
    Setting("EXCHANGE_MASTER_KEY", "master_key", "", _MASTER_KEY,
            "encrypts API secrets and 2FA seeds at rest; required outside demo mode", secret=True),
    Setting("EXCHANGE_SESSION_IDLE", "session_idle_s", "12h", _seconds(60, 31 * 86400),
            "a session that is not used for so long ends"),
    Setting("EXCHANGE_UNRESTRICTED_KEY_TTL", "unrestricted_key_ttl_s", "720h", _seconds(3600, 10 * 366 * 86400),
            "after this an API key without an address list may no longer trade"),
    Setting("EXCHANGE_TRUSTED_PROXIES", "trusted_proxies", "", _networks(),
            "networks, separated by commas, whose X-Forwarded-For is believed"),
    Setting("EXCHANGE_WEIGHT_PER_MINUTE", "weight_per_minute", "6000", _integer(0, 10**9),
            "request weight that an address may use; 0: no limit"),
    Setting("EXCHANGE_RAW_REQUESTS_PER_5M", "raw_requests_per_5m", "300000", _integer(0, 10**9),
            "requests that an address may send; 0: no limit"),
    Setting("EXCHANGE_ORDERS_PER_10S", "orders_per_10s", "100", _integer(0, 10**9),
            "unfilled orders that an account may place; 0: no limit"),
    Setting("EXCHANGE_ORDERS_PER_DAY", "orders_per_day", "200000", _integer(0, 10**9),
            "unfilled orders that an account may place; 0: no limit"),
    Setting("EXCHANGE_WS_CONNECTIONS_PER_5M", "ws_connections_per_5m", "300", _integer(0, 10**9),
            "WebSocket connections that an address may open; 0: no limit"),
    Setting("EXCHANGE_KYC_PROVIDER", "kyc_provider", "manual", _choice("manual", "webhook"),
            "who verifies identities: the operator, or a service that is called and calls back"),
    Setting("EXCHANGE_KYC_URL", "kyc_url", "", _URL,
            "where the webhook provider is called"),
    Setting("EXCHANGE_KYC_SECRET", "kyc_secret", "", _OPTIONAL_SECRET,
            "signs calls to and from the webhook provider", secret=True),
    Setting("REDIS_ADDR", "", "", _ANYTHING,
            "has no meaning in one process; accepted"),
    Setting("WORKER_ID", "", "", _ANYTHING,
            "has no meaning in one process; accepted"),
)  # fmt: skip

RATE_LIMITS = tuple(setting.name for setting in SETTINGS if "_PER_" in setting.name)
"""Counted and not enforced in demo mode, as long as none of them is set."""


@dataclass(frozen=True)
class Settings:
    """The typed values of one process. Suffix `_s`: seconds; `_bytes`: bytes. `notes` are lines for the start log."""

    demo: bool
    service_name: str
    http_port: int
    ws_port: int
    internal_token: str
    auth_token_secret: str
    auth_token_ttl_s: float
    data_dir: pathlib.Path
    host: str
    sync: Literal["always", "off"]
    segment_bytes: int
    ring_slots: int
    snapshot_every: int
    snapshot_interval_s: float
    hash_every: int
    hash_interval_s: float
    depth_interval_s: float
    stop_timeout_s: float
    order_timeout_s: float
    body_bytes: int
    body_timeout_s: float
    keepalive_timeout_s: float
    connections_max: int
    database: Literal["on", "off"]
    db_host: str
    db_port: int
    db_user: str
    db_password: str
    db_name: str
    db_ssl_mode: str
    db_max_open_conns: int
    db_max_idle_conns: int
    db_conn_max_lifetime_s: float
    db_conn_max_idle_time_s: float
    history_timeout_s: float
    projection_events: int
    events_keep_s: float | None
    master_key: bytes | None
    session_idle_s: float
    unrestricted_key_ttl_s: float
    trusted_proxies: tuple[Network, ...]
    weight_per_minute: int
    raw_requests_per_5m: int
    orders_per_10s: int
    orders_per_day: int
    ws_connections_per_5m: int
    kyc_provider: Literal["manual", "webhook"]
    kyc_url: str
    kyc_secret: str
    limits_enforced: bool
    notes: tuple[str, ...] = ()


def _read(setting: Setting, text: str) -> Any:
    try:
        return setting.rule.read(text)
    except ValueError:
        shown = "its value (not shown)" if setting.secret else repr(text)
        raise SettingError(f"{setting.name} must be {setting.rule.words}, and {shown} is not.") from None


def _notes(environ: Mapping[str, str]) -> tuple[str, ...]:
    known = {setting.name for setting in SETTINGS}
    notes = [
        f"{name} has no meaning in one process and is ignored."
        for name in ("REDIS_ADDR", "WORKER_ID")
        if environ.get(name)
    ]
    if not environ.get("DB_HOST") and any(environ.get(name) for name in ("DB_USER", "DB_NAME", "DB_PASSWORD")):
        notes.append(
            "DB_HOST is not set: the embedded PostgreSQL is used and the other DB_* settings of a server are not."
        )
    notes += [
        f"{name} is not a setting of this version and is ignored."
        for name in sorted(environ)
        if name.startswith("EXCHANGE_") and name not in known
    ]
    return tuple(notes)


def load(environ: Mapping[str, str], *, demo: bool, data_dir: pathlib.Path | None = None) -> Settings:
    """The settings of an environment. An empty variable counts as not set; `data_dir` wins over EXCHANGE_DATA_DIR.

    Outside demo mode the secrets must be set; in demo mode missing ones are drawn. Raises SettingError.
    """
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        text = environ.get(setting.name, "") or setting.default
        if setting.required and not text:
            if not demo:
                raise SettingError(f"{setting.name} is not set; outside demo mode it must be {setting.rule.words}.")
            text = secrets.token_urlsafe(32) if setting.rule is _SECRET else ""
        # Without a master key a demo keeps the one it drew at its first start (exchange/datadir.py).
        value = None if setting.rule is _MASTER_KEY and not text else _read(setting, text)
        if setting.field:
            values[setting.field] = value
    if data_dir is not None:
        values["data_dir"] = data_dir
    if values["kyc_provider"] == "webhook" and not (values["kyc_url"] and values["kyc_secret"]):
        raise SettingError("EXCHANGE_KYC_URL and EXCHANGE_KYC_SECRET must be set for EXCHANGE_KYC_PROVIDER=webhook.")
    if values["http_port"] == values["ws_port"] != 0:
        raise SettingError(f"WS_PORT must be another port than HTTP_PORT, and {values['ws_port']} is not.")
    limits_enforced = not demo or any(environ.get(name) for name in RATE_LIMITS)
    return Settings(demo=demo, limits_enforced=limits_enforced, notes=_notes(environ), **values)


def table() -> list[tuple[str, str, str]]:
    """(name, default or "required" or "-", meaning) of every setting, in the order of the table."""
    return [(s.name, "required" if s.required else s.default or "-", s.meaning) for s in SETTINGS]
