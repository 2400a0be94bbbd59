"""What exchangeInfo says of a symbol: its status by mode and phase, its filters by the rules that are set."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.core.codes import OrderType, Phase, SymbolRule, TradingMode
from exchange.gateway.symbols import NO_GUARDS, Guards, Reference, status_of
from tests.gateway.forms import ASSETS, BTCUSDT

RULES = Reference(ASSETS, (BTCUSDT,)).named("BTCUSDT")


@pytest.mark.parametrize(
    ("mode", "phase", "status"),
    [
        (TradingMode.OPEN, Phase.CONTINUOUS, "TRADING"),
        (TradingMode.OPEN, Phase.AUCTION, "AUCTION_MATCH"),
        (TradingMode.OPEN, Phase.PAUSED, "BREAK"),
        (TradingMode.CANCEL_ONLY, Phase.AUCTION, "BREAK"),
        (TradingMode.HALTED, Phase.CONTINUOUS, "HALT"),
        (TradingMode.HALTED, Phase.PAUSED, "HALT"),
    ],
)
def test_status_is_that_of_the_mode_then_of_the_phase(mode: TradingMode, phase: Phase, status: str) -> None:
    assert status_of(mode, phase) == status


def filters(guards: Guards = NO_GUARDS) -> dict[str, dict[str, Any]]:
    return {one.pop("filterType"): one for one in RULES.filters(guards)}


def test_without_rules_the_bounds_of_the_engine_are_shown_and_nothing_more() -> None:
    shown = filters()
    assert set(shown) == {
        *("PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "NOTIONAL", "MAX_NUM_ORDERS"),
        *("ICEBERG_PARTS", "TRAILING_DELTA"),
    }
    assert shown["ICEBERG_PARTS"] == {"limit": 1_000}
    assert shown["TRAILING_DELTA"] == {
        "minTrailingAboveDelta": 1,
        "maxTrailingAboveDelta": 9_999,
        "minTrailingBelowDelta": 1,
        "maxTrailingBelowDelta": 9_999,
    }


def test_every_rule_that_is_a_filter_is_shown() -> None:
    shown = filters(
        {
            SymbolRule.BID_UP_BIPS: 15_000,
            SymbolRule.ASK_DOWN_BIPS: 500,
            SymbolRule.REFERENCE_WINDOW_NS: 90 * 10**9,
            SymbolRule.POSITION_MAX_LOTS: 250_000,
            SymbolRule.ALGO_ORDERS_MAX: 5,
            SymbolRule.ICEBERG_ORDERS_MAX: 6,
            SymbolRule.LISTS_MAX: 7,
            SymbolRule.ICEBERG_PARTS_MAX: 10,
            SymbolRule.TRAILING_MIN_BIPS: 20,
            SymbolRule.TRAILING_MAX_BIPS: 2_000,
        }
    )
    assert shown["PERCENT_PRICE_BY_SIDE"] == {
        "bidMultiplierUp": "1.5000",
        "bidMultiplierDown": "0.0000",
        "askMultiplierUp": "1000000.0000",
        "askMultiplierDown": "0.0500",
        "avgPriceMins": 2,
    }
    assert shown["MAX_POSITION"] == {"maxPosition": "2.50000000"}
    assert shown["MAX_NUM_ALGO_ORDERS"] == {"maxNumAlgoOrders": 5}
    assert shown["MAX_NUM_ICEBERG_ORDERS"] == {"maxNumIcebergOrders": 6}
    assert shown["MAX_NUM_ORDER_LISTS"] == {"maxNumOrderLists": 7}
    assert shown["ICEBERG_PARTS"] == {"limit": 10}
    assert shown["TRAILING_DELTA"]["minTrailingBelowDelta"] == 20
    assert shown["TRAILING_DELTA"]["maxTrailingAboveDelta"] == 2_000


def test_every_order_type_is_allowed() -> None:
    shown = RULES.describe("TRADING")
    assert set(shown["orderTypes"]) == {order_type.name for order_type in OrderType}
    allowed = ("icebergAllowed", "allowTrailingStop", "pegInstructionsAllowed", "cancelReplaceAllowed")
    assert all(shown[name] is True for name in allowed)
