"""API keys: who may do what, behind one interface, until the user service keeps them.

Owns the `KeyStore` interface and a store in one file of mode 0600 below the data directory. Secrets are never
journaled, logged or put in an answer. A key whose name begins with `demo` is a demo key: it counts in demo mode only.
"""

from __future__ import annotations

import enum
import os
import pathlib
import re
import secrets
import stat
from collections.abc import Iterable
from typing import Protocol

import msgspec

API_KEY_PATTERN = r"[A-Za-z0-9_-]{16,128}"
DEMO_PREFIX = "demo"
KEYS_FILE = "keys.json"
_api_key = re.compile(API_KEY_PATTERN, re.ASCII).fullmatch


class KeysUnusable(Exception):
    """The file of keys can not be used; the text is a sentence that says why and what to do."""


class Permission(enum.StrEnum):
    """What a key may do."""

    READ = "read"
    TRADE = "trade"


class Key(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """One API key. `label` is for people, `account` is the engine's id."""

    api_key: str
    secret: str
    account: int
    permissions: frozenset[Permission]
    label: str = ""

    @property
    def is_demo(self) -> bool:
        """Whether it is refused outside demo mode."""
        return self.api_key.startswith(DEMO_PREFIX)


class KeyStore(Protocol):
    """Where the gateway finds keys; an answer must be at hand, so the store keeps them in memory."""

    def find(self, api_key: str) -> Key | None:
        """The key of that name that may be used now, or None."""


class FileKeyStore:
    """Keys of one JSON file, read once. Demo keys are left out unless `demo`."""

    def __init__(self, path: pathlib.Path, *, demo: bool) -> None:
        self.path = path
        self.left_out = 0
        self._keys: dict[str, Key] = {}
        for key in _read(path):
            if key.is_demo and not demo:
                self.left_out += 1
            else:
                self._keys[key.api_key] = key

    def find(self, api_key: str) -> Key | None:
        """The key of that name, or None."""
        return self._keys.get(api_key)

    def all(self) -> list[Key]:
        """Every key in use, in the order of the file."""
        return list(self._keys.values())

    def add(self, key: Key) -> None:
        """Keep one more key; the file is replaced as a whole, with mode 0600, and synced."""
        everything = [*_read(self.path), key]
        write_private(self.path, msgspec.json.format(msgspec.json.encode(everything)) + b"\n")
        self._keys[key.api_key] = key


def write_private(path: pathlib.Path, content: bytes) -> None:
    """Replace a file as a whole by one of mode 0600, synced before it takes the name."""
    temporary = path.with_name(path.name + ".tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _read(path: pathlib.Path) -> Iterable[Key]:
    try:
        mode = path.stat().st_mode
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise KeysUnusable(f"The keys in {path} can not be read: {error.strerror}.") from None
    if stat.S_IMODE(mode) & 0o077:
        raise KeysUnusable(f"The keys in {path} can be read by others; run: chmod 600 {path}")
    try:
        keys = msgspec.json.decode(text, type=list[Key])
    except msgspec.DecodeError as error:
        raise KeysUnusable(f"The keys in {path} can not be used: {error}.") from None
    for key in keys:
        if not _api_key(key.api_key) or not key.secret.isascii() or not key.secret:
            raise KeysUnusable(f"The keys in {path} can not be used: a key or secret is malformed.")
    return keys


def new_key(prefix: str, account: int, permissions: Iterable[Permission], label: str) -> Key:
    """A key of 64 letters and digits with 240 or more random bits in name and secret each."""

    def draw(count: int) -> str:
        return "".join(
            secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") for _ in range(count)
        )

    return Key(prefix + draw(64 - len(prefix)), draw(64), account, frozenset(permissions), label)
