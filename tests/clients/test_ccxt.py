"""ccxt, as released: REST with both classes and its default options, then everything that ccxt.pro follows live."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests.clients.driving import day
from tests.gateway.running import Exchange


@pytest.fixture(name="exchange")
def fixture_exchange(tmp_path: pathlib.Path) -> Iterator[Exchange]:
    """A demo exchange that nobody has traded on."""
    running = Exchange(tmp_path / "var").start()
    yield running
    assert running.stop() == 0, running.errors


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_ccxt_trades_for_a_day_over_rest(exchange: Exchange, kind: str) -> None:
    assert len(day("ccxt", "ccxt_day", exchange, kind)) == 32
