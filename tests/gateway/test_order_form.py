"""What an order form is refused for, and in which order; filters hold as `exchangeInfo` shows them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.gateway.running import Exchange, Trader

BTC = "/api/v3/exchangeInfo?symbol=BTCUSDT"
MARKET = {"type": "MARKET", "timeInForce": None, "price": None}
TOO_SMALL = "Filter failure: NOTIONAL"


def _filter(trader: Trader, name: str) -> dict[str, Any]:
    filters: list[dict[str, Any]] = trader.public(BTC).json["symbols"][0]["filters"]
    return next(one for one in filters if one["filterType"] == name)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"newClientOrderId": "a b"}, -1100),
        ({"newOrderRespType": "full"}, -1130),
        ({"selfTradePreventionMode": "ALL"}, -1130),
        ({"goodTillDate": "1"}, -1106),
        ({"timeInForce": "GTD"}, -1102),
    ],
)
def test_a_form_is_well_formed_before_filters_look_at_it(
    traders: tuple[Trader, Trader], wrong: dict[str, str], code: int
) -> None:
    alice, _ = traders
    assert alice.order("BUY", "0.00001", "1").json["msg"] == TOO_SMALL
    assert alice.order("BUY", "0.00001", "1", **wrong).json["code"] == code


def test_market_orders_pass_the_notional_filter_as_it_is_shown(traders: tuple[Trader, Trader]) -> None:
    alice, bob = traders
    shown = _filter(alice, "NOTIONAL")
    assert (shown["applyMinToMarket"], shown["applyMaxToMarket"], shown["avgPriceMins"]) == (True, True, 0)
    assert (shown["minNotional"], shown["maxNotional"]) == ("5.00000000", "9000000.00000000")
    assert alice.order("SELL", "0.01", "50000").status == bob.order("BUY", "0.01", "50000").status == 200
    for quantity, fits in (("0.00009", False), ("0.0001", True), ("180", True), ("180.00001", False)):
        for path in ("/v1/order/test", "/v1/order"):
            form = {"symbol": "BTC_USDT", "side": "SELL", "type": "MARKET", "quantity": quantity}
            if fits and path == "/v1/order":
                continue
            answer = alice.call("POST", path, **form)
            assert (answer.status, answer.json.get("msg")) == ((200, None) if fits else (400, TOO_SMALL)), quantity
    for amount, msg in (("4.99", TOO_SMALL), ("9000000.01", TOO_SMALL), ("5", None)):
        form = {"symbol": "BTC_USDT", "side": "SELL", "type": "MARKET", "quoteOrderQty": amount}
        assert alice.call("POST", "/v1/order/test", **form).json.get("msg") == msg


def test_a_market_order_is_held_against_no_price_where_nothing_was_traded(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    assert alice.public("/v1/ticker/price?symbol=ETH_BTC").json["price"] == "0.00000000"
    form = {"symbol": "ETH_BTC", "side": "SELL", "type": "MARKET", "quantity": "0.001"}
    assert alice.call("POST", "/v1/order/test", **form).status == 200


def test_an_amendment_that_changes_nothing_says_so(traders: tuple[Trader, Trader]) -> None:
    alice, _ = traders
    order_id = alice.order("BUY", "0.02", "10000").json["orderId"]
    path, texts = "/api/v3/order/amend/keepPriority", []
    for quantity in ("0.02", "0.03"):
        answer = alice.call("PUT", path, symbol="BTCUSDT", orderId=order_id, newQty=quantity)
        assert (answer.status, answer.json["code"]) == (400, -2038)
        texts.append(answer.json["msg"])
    assert texts == [
        "The requested action would change no state; rejecting",
        "Order amend (quantity increase) is not supported.",
    ]


def test_the_time_that_ends_an_order_may_be_in_either_unit(traders: tuple[Trader, Trader]) -> None:
    alice, _ = traders
    due_ms = (int(time.time()) + 3_600) * 1_000
    for stamp in (due_ms, due_ms * 1_000):
        order_id = alice.order("BUY", "0.02", "10000", timeInForce="GTD", goodTillDate=stamp).json["orderId"]
        assert alice.call("GET", "/v1/order", symbol="BTC_USDT", orderId=order_id).json["goodTillDate"] == due_ms


def test_an_accepted_replacement_tells_the_orders_of_the_account_whatever_became_of_the_cancel(
    traders: tuple[Trader, Trader],
) -> None:
    alice, _ = traders
    form = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.02"}
    form |= {"price": "10000", "cancelOrderId": str(2**40)}
    counted = []
    for mode in ("ALLOW_FAILURE", "STOP_ON_FAILURE", "ALLOW_FAILURE"):
        answer = alice.call("POST", "/api/v3/order/cancelReplace", cancelReplaceMode=mode, **form)
        accepted = mode == "ALLOW_FAILURE"
        assert answer.status == (409 if accepted else 400)
        assert ("x-mbx-order-count-1d" in answer.headers) is accepted
        counted += [int(answer.headers["x-mbx-order-count-1d"])] if accepted else []
    assert counted[1] == counted[0] + 1


@pytest.mark.parametrize("path", ["exchangeInfo", "ticker/24hr", "ticker", "ticker/price", "ticker/bookTicker"])
def test_a_list_of_no_symbols_is_refused(exchange: Exchange, path: str) -> None:
    answer = exchange.trader("alice").public(f"/api/v3/{path}?symbols=%5B%5D")
    assert (answer.status, answer.json["code"]) == (400, -1130)


@pytest.mark.parametrize("path", ["/ws", "/stream?streams=btcusdt@trade", "/ws-api/v3"])
def test_a_handshake_that_is_none_is_told_the_used_weight_like_any_request(exchange: Exchange, path: str) -> None:
    answer = exchange.trader("alice").public(path)
    assert answer.status == 426
    assert int(answer.headers["x-mbx-used-weight-1m"]) >= 2


def test_two_ids_of_different_orders_are_told_apart_whatever_was_asked(traders: tuple[Trader, Trader]) -> None:
    alice, _ = traders
    alice.order("BUY", "0.02", "10000", newClientOrderId="told-apart")
    other = alice.order("BUY", "0.02", "10001").json["orderId"]
    amended = alice.call(
        "PUT",
        "/v1/order/amend/keepPriority",
        symbol="BTC_USDT",
        orderId=other,
        origClientOrderId="told-apart",
        newQty="0.01",
    )
    assert (amended.status, amended.json["code"]) == (400, -2039)
    form = {
        "symbol": "BTC_USDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.02",
        "price": "10002",
    }
    ids = {"cancelOrderId": other, "cancelOrigClientOrderId": "told-apart"}
    replaced = alice.call("POST", "/v1/order/cancelReplace", cancelReplaceMode="STOP_ON_FAILURE", **form, **ids)
    assert (replaced.status, replaced.json["code"]) == (400, -2022)
    assert replaced.json["data"]["cancelResponse"]["code"] == -2039
