"""Keys: the controls that can be judged without a socket: steps of the comparison, addresses, time, and the journal."""

from __future__ import annotations

import ipaddress
import itertools
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.core.event_records import EVENT_DTYPES
from exchange.core.records import COMMAND_DTYPES
from exchange.gateway.address import client_address
from exchange.gateway.errors import Refusal
from exchange.gateway.faces import OURS, faces
from exchange.gateway.parameters import parse
from exchange.gateway.signing import authenticate
from exchange.users.keys import Key, KeyKind, Permission, networks
from tests.users.venue import ALICE, signature

HOUR_US = 3_600_000_000
NAME = "n" * 64
FACE = faces((), ())[OURS]


class OneKey:
    """A store of one key."""

    def __init__(self, key: Key) -> None:
        self._key = key

    def find(self, api_key: str) -> Key | None:
        """It, if that is its name."""
        return self._key if api_key == self._key.api_key else None


def key_of(kind: KeyKind, **more: Any) -> Key:
    """A key that may read and trade."""
    material: dict[str, Any] = (
        {"secret": b"s" * 64}
        if kind is KeyKind.HMAC
        else {"public_key": Ed25519PrivateKey.generate().public_key().public_bytes_raw()}
    )
    permissions = frozenset((Permission.READ, Permission.TRADE))
    return Key(**{"api_key": NAME, "account": ALICE, "kind": kind, "permissions": permissions, **material, **more})


def crypto_steps(run: Callable[[], object]) -> list[str]:
    """The cryptographic functions that run inside, in order."""
    steps: list[str] = []

    def note(_frame: object, event: str, argument: Any) -> None:
        if event == "c_call" and argument.__name__ in ("digest", "compare_digest", "hmac_digest", "verify"):
            steps.append(argument.__name__)

    sys.setprofile(note)
    try:
        with pytest.raises(Refusal):
            run()
    finally:
        sys.setprofile(None)
    return steps


@pytest.mark.parametrize(("kind", "wrong"), [(KeyKind.HMAC, "0" * 64), (KeyKind.ED25519, "A" * 86 + "==")])
def test_unknown_key_takes_the_same_cryptographic_steps_as_a_known_one(kind: KeyKind, wrong: str) -> None:
    def try_with(name: str) -> None:
        signed = parse(urlencode({"timestamp": time.time_ns() // 1000, "signature": wrong}), b"")
        authenticate(FACE, OneKey(key_of(kind)), [name], signed, Permission.READ, 1_000_000, here)

    known, unknown = (crypto_steps(lambda name=name: try_with(name)) for name in (NAME, "u" * 64))  # type: ignore[misc]  # a default binds the loop's name
    assert known == unknown
    assert known


def here() -> ipaddress.IPv4Address:
    """Where a request comes from."""
    return ipaddress.IPv4Address("127.0.0.1")


@pytest.mark.parametrize(
    ("allowed", "peer", "forwarded", "counts"),
    [
        ("203.0.113.0/24", "203.0.113.255", "", True),
        ("203.0.113.0/24", "203.0.114.0", "", False),
        ("203.0.113.0/24", "::ffff:203.0.113.9", "", True),
        ("::ffff:203.0.113.0/120", "203.0.113.9", "", True),
        ("2001:db8::/32", "2001:db8:ffff::1", "", True),
        ("2001:db8::/32", "2001:db9::1", "", False),
        ("fe80::1", "fe80::1%eth0", "", True),
        ("203.0.113.9", "198.51.100.7", "203.0.113.9", False),  # no proxy of ours wrote this
        ("203.0.113.9", "10.0.0.1", "203.0.113.9", True),
        ("203.0.113.9", "10.0.0.1", "203.0.113.9, 198.51.100.7", False),  # the client wrote the first one itself
        ("203.0.113.9", "10.0.0.1", "198.51.100.7, 203.0.113.9, 10.0.0.2", True),
        ("203.0.113.9", "10.0.0.1", "not an address", False),
    ],
)
def test_address_is_the_peers_or_what_a_trusted_proxy_says(
    allowed: str, peer: str, forwarded: str, counts: bool
) -> None:
    key = key_of(KeyKind.HMAC, addresses=networks([allowed]))
    trusted = (ipaddress.ip_network("10.0.0.0/8"),)
    address = client_address((peer, 1), [forwarded] if forwarded else [], trusted)
    assert key.is_from(address) is counts


@pytest.mark.parametrize(
    ("more", "permission", "ends"),
    [
        ({}, Permission.TRADE, True),
        ({}, Permission.READ, False),
        ({"addresses": networks(["127.0.0.1"])}, Permission.TRADE, False),
        ({"api_key": "demo" + NAME}, Permission.TRADE, False),
        ({"addresses": networks(["127.0.0.1"]), "expires_us": HOUR_US}, Permission.TRADE, True),
        ({"expires_us": HOUR_US}, Permission.READ, True),
    ],
)
def test_right_to_trade_without_addresses_and_a_key_with_an_expiry_end_to_the_microsecond(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], permission: Permission, ends: bool
) -> None:
    created_us = 1_700_000_000_000_000
    if "expires_us" in more:
        more = {**more, "expires_us": created_us + more["expires_us"]}
    key = key_of(KeyKind.HMAC, created_us=created_us, unrestricted_us=HOUR_US, **more)
    for now_us in (created_us, created_us + HOUR_US - 1, created_us + HOUR_US):
        monkeypatch.setattr(time, "time_ns", lambda now_us=now_us: now_us * 1000)
        query = f"timestamp={now_us}"
        signed = parse(f"{query}&signature={signature('s' * 64, query)}", b"")
        if ends and now_us == created_us + HOUR_US:
            with pytest.raises(Refusal) as caught:
                authenticate(FACE, OneKey(key), [key.api_key], signed, permission, 1_000_000, here)
            assert (caught.value.status, caught.value.code) == (401, -2015)
        else:
            assert authenticate(FACE, OneKey(key), [key.api_key], signed, permission, 1_000_000, here).key is key


def test_commands_and_events_have_no_field_that_could_hold_a_secret_or_a_person() -> None:
    texts = {
        name.rpartition("_")[0]
        for dtype in itertools.chain(COMMAND_DTYPES.values(), EVENT_DTYPES.values())
        for name in dtype.names or ()
        if name.rpartition("_")[2].isdigit()
    }
    # an order's own id, the state's hash, an asset's or symbol's name (or why a command is passed over), legs of a list
    assert texts == {"client_id", "hash", "name", "order_id"}
    for dtype in itertools.chain(COMMAND_DTYPES.values(), EVENT_DTYPES.values()):
        for name in dtype.names or ():
            assert dtype[name].kind in "iu", name
            assert dtype[name].itemsize <= 8, name
