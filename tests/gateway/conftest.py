"""One exchange process for the tests that only talk to it; every test leaves the books empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway.running import Exchange, Trader


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A demo exchange that the whole session shares."""
    running = Exchange(tmp_path_factory.mktemp("exchange") / "var").start()
    yield running
    assert running.stop() == 0, running.errors


@pytest.fixture
def traders(exchange: Exchange) -> Iterator[tuple[Trader, Trader]]:
    """Alice and bob; what they leave open is canceled afterwards."""
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    yield alice, bob
    for trader in (alice, bob):
        for symbol in {order["symbol"] for order in trader.call("GET", "/v1/openOrders").json}:
            assert trader.call("DELETE", "/v1/openOrders", symbol=symbol).status == 200
