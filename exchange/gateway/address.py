"""Where a request comes from: the peer of its connection, or what a proxy that we trust says about it.

Owns the one rule that allowlists, throttles and limits share. X-Forwarded-For is read from the right, hop by hop, and
only as long as the hop that wrote it lies in EXCHANGE_TRUSTED_PROXIES: what a client writes into it itself counts for
nothing. An IPv4 address that is mapped into IPv6 is that IPv4 address.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

from exchange.settings import Network

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
NOWHERE = ipaddress.IPv4Address(0)
"""The address of a peer that has none any more: its connection is gone."""


@functools.lru_cache(maxsize=4096)
def parsed(text: str) -> Address | None:
    """An address in its one form, None for text that is none. An IPv6 zone is dropped."""
    try:
        address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@functools.lru_cache(maxsize=4096)
def _trusts(trusted: tuple[Network, ...], address: Address) -> bool:
    return any(address.version == network.version and address in network for network in trusted)


def client_address(peername: object, forwarded: Sequence[str], trusted: tuple[Network, ...]) -> Address:
    """Who asked. `peername`: of the transport; `forwarded`: every X-Forwarded-For header, in order."""
    host = peername[0] if isinstance(peername, tuple) and peername else ""
    address = parsed(host) or NOWHERE
    if not trusted or not forwarded:
        return address
    hops = ",".join(forwarded).split(",")
    while hops and _trusts(trusted, address):
        before = parsed(hops.pop())
        if before is None:
            break
        address = before
    return address


def limited(address: Address) -> bytes:
    """What limits count as one address: an IPv4 address, or the /64 of an IPv6 one, which is one line."""
    return address.packed if address.version == 4 else address.packed[:8]


@functools.lru_cache(maxsize=4096)
def _limited_host(host: str) -> bytes:
    return limited(parsed(host) or NOWHERE)


def limited_client(peername: object, forwarded: Sequence[str], trusted: tuple[Network, ...]) -> bytes:
    """`limited` of `client_address`, at the price of two lookups where no proxy stands between."""
    if trusted and forwarded:
        return limited(client_address(peername, forwarded, trusted))
    return _limited_host(peername[0] if isinstance(peername, tuple) and peername else "")
