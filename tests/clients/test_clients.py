"""Clients of Binance, as released, each through a day on a new exchange; what they left is read by our own client.

The programs and what they assert are in tests/clients/scripts. The balances here are the same story once more, by hand.
"""

from __future__ import annotations

import pathlib

import pytest

from tests.clients.driving import day
from tests.gateway.running import Exchange

Balances = dict[str, tuple[str, str]]
NOTHING = "0.00000000"
UNTOUCHED = ("2000.00000000", NOTHING)


def left_behind(exchange: Exchange) -> dict[str, Balances]:
    """The balances of both traders; neither may have an order left."""
    traders = {name: exchange.trader(name) for name in ("alice", "bob")}
    assert [trader.call("GET", "/v1/openOrders").json for trader in traders.values()] == [[], []]
    return {name: trader.balances() for name, trader in traders.items()}


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_ccxt_trades_for_a_day_over_rest(exchange: Exchange, kind: str) -> None:
    assert len(day("ccxt", "ccxt_day", exchange, kind)) == 31
    # 0.5 BTC at 60,000 and 0.05 at 59,500 went from alice to bob: 0.1 % of what each of them received is gone.
    assert left_behind(exchange) == {
        "alice": {"BTC": ("99.45000000", NOTHING), "ETH": UNTOUCHED, "USDT": ("10032942.02500000", NOTHING)},
        "bob": {"BTC": ("100.54945000", NOTHING), "ETH": UNTOUCHED, "USDT": ("9967025.00000000", NOTHING)},
    }


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_ccxt_places_orders_that_wait_follow_and_hide(exchange: Exchange, kind: str) -> None:
    assert len(day("ccxt", "ccxt_waiting", exchange, kind)) == 7
    # 0.107 BTC went from alice to bob for 5,796.981 USDT.
    assert left_behind(exchange) == {
        "alice": {"BTC": ("99.89300000", NOTHING), "ETH": UNTOUCHED, "USDT": ("10005791.18401900", NOTHING)},
        "bob": {"BTC": ("100.10689300", NOTHING), "ETH": UNTOUCHED, "USDT": ("9994203.01900000", NOTHING)},
    }


def test_ccxt_is_told_to_wait_and_then_banned(tmp_path: pathlib.Path) -> None:
    exchange = Exchange(tmp_path / "var", environ={"EXCHANGE_WEIGHT_PER_MINUTE": "750"}).start()
    try:
        assert len(day("ccxt", "ccxt_limits", exchange)) == 4
        assert exchange.stop() == 0, exchange.errors
    finally:
        exchange.ensure_gone()


def test_ccxt_pro_follows_everything_live(exchange: Exchange) -> None:
    assert len(day("ccxt", "ccxt_live", exchange)) == 10
    assert exchange.trader("bob").call("GET", "/v1/openOrders").json == []


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_python_binance_trades_for_a_day_over_rest(exchange: Exchange, kind: str) -> None:
    assert len(day("python-binance", "python_binance_day", exchange, kind)) == 11
    # 0.2 BTC for 12,000 USDT and 0.1 for 6,000.
    assert left_behind(exchange) == {
        "alice": {"BTC": ("99.70000000", NOTHING), "ETH": UNTOUCHED, "USDT": ("10017982.00000000", NOTHING)},
        "bob": {"BTC": ("100.29970000", NOTHING), "ETH": UNTOUCHED, "USDT": ("9982000.00000000", NOTHING)},
    }


def test_python_binance_follows_everything_live(exchange: Exchange) -> None:
    assert len(day("python-binance", "python_binance_live", exchange)) == 9
    assert exchange.trader("bob").call("GET", "/v1/openOrders").json == []


def test_python_binance_places_order_lists(exchange: Exchange) -> None:
    assert len(day("python-binance", "python_binance_lists", exchange)) == 7
    # 0.1 BTC at 60,000 from alice to bob, 0.2 at 50,000 from bob to alice.
    assert left_behind(exchange) == {
        "alice": {"BTC": ("100.09980000", NOTHING), "ETH": UNTOUCHED, "USDT": ("9995994.00000000", NOTHING)},
        "bob": {"BTC": ("99.89990000", NOTHING), "ETH": UNTOUCHED, "USDT": ("10003990.00000000", NOTHING)},
    }


@pytest.mark.parametrize("ws_port", ["http", "ws"])
def test_binance_connector_trades_for_a_day(exchange: Exchange, ws_port: str) -> None:
    assert len(day("binance-connector", "connector_day", exchange, ws_port=ws_port)) == 8
    # 0.3 BTC at 60,000, and 0.4 ETH at 2,000.
    assert left_behind(exchange) == {
        "alice": {
            "BTC": ("99.70000000", NOTHING),
            "ETH": ("1999.60000000", NOTHING),
            "USDT": ("10018781.20000000", NOTHING),
        },
        "bob": {
            "BTC": ("100.29970000", NOTHING),
            "ETH": ("2000.39960000", NOTHING),
            "USDT": ("9981200.00000000", NOTHING),
        },
    }


def test_binance_sdk_spot_finds_every_reply_in_shape(exchange: Exchange) -> None:
    assert len(day("binance-sdk-spot", "sdk_day", exchange)) == 7
    # 0.3 BTC at 60,000.5.
    assert left_behind(exchange) == {
        "alice": {"BTC": ("99.70000000", NOTHING), "ETH": UNTOUCHED, "USDT": ("10017982.14985000", NOTHING)},
        "bob": {"BTC": ("100.29970000", NOTHING), "ETH": UNTOUCHED, "USDT": ("9981999.85000000", NOTHING)},
    }


def test_binance_sdk_spot_finds_every_message_in_shape(exchange: Exchange) -> None:
    assert len(day("binance-sdk-spot", "sdk_live", exchange)) == 5
    assert exchange.trader("bob").call("GET", "/v1/openOrders").json == []


def test_binance_sdk_spot_places_order_lists(exchange: Exchange) -> None:
    assert len(day("binance-sdk-spot", "sdk_lists", exchange)) == 6
    # 0.3 BTC at 50,000 from alice to bob, 0.2 at 60,000 from bob to alice.
    assert left_behind(exchange) == {
        "alice": {"BTC": ("99.89980000", NOTHING), "ETH": UNTOUCHED, "USDT": ("10002985.00000000", NOTHING)},
        "bob": {"BTC": ("100.09970000", NOTHING), "ETH": UNTOUCHED, "USDT": ("9996988.00000000", NOTHING)},
    }
