"""Where a request comes from: X-Forwarded-For counts as far as those who wrote it are trusted."""

from __future__ import annotations

import ipaddress

import pytest

from exchange.gateway.address import NOWHERE, client_address

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # a client that writes the header itself
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),  # what stands before it is hearsay
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("fe80::1%eth0", [], "fe80::1"),
    ],
)
def test_client_address_is_the_last_one_that_somebody_trusted_vouches_for(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert client_address((peer, 4711), forwarded, PROXIES) == ipaddress.ip_address(client)


@pytest.mark.parametrize("peername", [None, "", ("",), ()])
def test_peer_that_is_gone_comes_from_nowhere(peername: object) -> None:
    assert client_address(peername, ["198.51.100.1"], PROXIES) == NOWHERE


def test_forwarded_address_counts_for_nothing_without_trusted_proxies() -> None:
    assert client_address(("10.0.0.1", 1), ["198.51.100.1"], ()) == ipaddress.ip_address("10.0.0.1")
