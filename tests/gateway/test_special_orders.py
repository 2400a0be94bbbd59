"""Stops, trailing stops, icebergs and pegs over REST: what is answered when they are sent, wait, work and end."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.gateway.running import Trader

Pair = tuple[Trader, Trader]
Json = dict[str, Any]
FACES = [("/v1/order", "BTC_USDT"), ("/api/v3/order", "BTCUSDT")]
BARE = {"price": None, "timeInForce": None}


def mark(traders: Pair, price: str) -> None:
    """The last price is this: a small trade, when nothing else stands in its way."""
    alice, bob = traders
    assert alice.order("SELL", "0.001", price).json["status"] == "NEW"
    assert bob.order("BUY", "0.001", price).json["status"] == "FILLED"


def stop(trader: Trader, side: str, quantity: str, **more: object) -> Json:
    """A STOP_LOSS that was accepted, in full."""
    form = {"type": "STOP_LOSS", **BARE, "newOrderRespType": "FULL", **more}
    answer = trader.order(side, quantity, "1", **form)
    assert answer.status == 200, answer.json
    body: Json = answer.json
    return body


def test_a_stop_waits_and_goes_to_the_market_when_its_price_is_traded(traders: Pair) -> None:
    alice, bob = traders
    mark(traders, "50000")
    waiting = stop(alice, "SELL", "0.01", stopPrice="49500")
    assert (waiting["status"], waiting["workingTime"], waiting["fills"]) == ("NEW", -1, [])
    one = alice.seen(waiting)
    assert (one["isWorking"], one["workingTime"], one["stopPrice"]) == (False, -1, "49500.00000000")
    assert bob.order("BUY", "0.05", "49000").json["status"] == "NEW"
    assert bob.order("BUY", "0.001", "49500").json["status"] == "NEW"
    trigger = alice.order("SELL", "0.001", "49500").json
    assert (trigger["status"], trigger["executedQty"], len(trigger["fills"])) == ("FILLED", "0.00100000", 1)
    done = alice.seen(waiting)
    assert (done["status"], done["cummulativeQuoteQty"]) == ("FILLED", "490.00000000")


def test_a_placement_is_answered_with_what_it_gives_to_a_stop_that_it_triggers(traders: Pair) -> None:
    alice, bob = traders
    mark(traders, "50000")
    waiting = stop(bob, "SELL", "0.02", stopPrice="49500")
    assert bob.order("SELL", "0.01", "49500").json["status"] == "NEW"
    bought = alice.order("BUY", "0.05", "49500").json
    assert (bought["status"], bought["executedQty"]) == ("PARTIALLY_FILLED", "0.03000000")
    assert [fill["qty"] for fill in bought["fills"]] == ["0.01000000", "0.02000000"]
    assert {fill["commissionAsset"] for fill in bought["fills"]} == {"BTC"}
    assert alice.seen(bought)["executedQty"] == bought["executedQty"]
    assert bob.seen(waiting)["status"] == "FILLED"


def test_a_stop_on_the_wrong_side_of_the_market_would_trigger_at_once(traders: Pair) -> None:
    alice, _ = traders
    mark(traders, "50000")
    for side, order_type, price in (
        ("SELL", "STOP_LOSS", "50000"),
        ("BUY", "STOP_LOSS", "49999"),
        ("SELL", "TAKE_PROFIT", "49999"),
        ("BUY", "TAKE_PROFIT", "50001"),
    ):
        answer = alice.order(side, "0.01", "1", type=order_type, **BARE, stopPrice=price)
        assert (answer.status, answer.json["code"]) == (400, -2010)
        assert answer.json["msg"] == "Order would trigger immediately."


def test_a_trailing_stop_follows_the_price_up_and_sells_when_it_comes_back(traders: Pair) -> None:
    alice, bob = traders
    mark(traders, "50000")
    following = stop(alice, "SELL", "0.01", trailingDelta="100")
    assert following["trailingTime"] == following["transactTime"]
    mark(traders, "51000")
    assert bob.order("BUY", "0.1", "50000").json["status"] == "NEW"
    for price, status in (("50491", "NEW"), ("50490", "FILLED")):  # 1% below 51000 is 50490
        assert bob.order("BUY", "0.001", price).json["status"] == "NEW"
        assert alice.order("SELL", "0.001", price).json["status"] == "FILLED"
        assert alice.seen(following)["status"] == status
    assert alice.seen(following)["cummulativeQuoteQty"] == "500.00000000"


def test_an_iceberg_sells_part_after_part(traders: Pair) -> None:
    alice, bob = traders
    iceberg = alice.order("SELL", "0.1", "60000", icebergQty="0.02").json
    assert (iceberg["icebergQty"], iceberg["origQty"]) == ("0.02000000", "0.10000000")
    behind = alice.order("SELL", "0.01", "60000").json
    bought = bob.order("BUY", "0.05", "60000").json
    assert [fill["qty"] for fill in bought["fills"]] == ["0.02000000", "0.01000000", "0.02000000"]
    assert alice.seen(behind)["status"] == "FILLED"
    smaller = {"symbol": "BTC_USDT", "orderId": iceberg["orderId"], "newQty": "0.05"}
    amended = alice.call("PUT", "/v1/order/amend/keepPriority", **smaller).json["amendedOrder"]
    assert (amended["qty"], amended["icebergQty"]) == ("0.05000000", "0.02000000")
    canceled = alice.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=iceberg["orderId"]).json
    assert (canceled["status"], canceled["executedQty"], canceled["icebergQty"]) == (
        *("CANCELED", "0.04000000"),
        "0.02000000",
    )
    assert canceled["orderId"] == iceberg["orderId"]


@pytest.mark.parametrize(("path", "symbol"), FACES)
def test_a_pegged_order_takes_its_price_from_the_book(traders: Pair, path: str, symbol: str) -> None:
    alice, bob = traders
    for price in ("60000", "61000"):
        assert alice.order("SELL", "0.01", price).status == 200
    form: Json = {"symbol": symbol, "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.02"}
    behind = {"pegPriceType": "PRIMARY_PEG", "pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": "1"}
    pegged = alice.call("POST", path, **form, **behind).json
    assert (pegged["price"], pegged["peggedPrice"]) == ("0.00000000", "61000.00000000")
    one = alice.call("GET", path, symbol=symbol, orderId=pegged["orderId"]).json
    assert {
        name: one[name] for name in ("price", "peggedPrice", "pegPriceType", "pegOffsetType", "pegOffsetValue")
    } == {
        **behind,
        "pegOffsetValue": 1,
        "price": "0.00000000",
        "peggedPrice": "61000.00000000",
    }
    best = bob.call("POST", path, **{**form, "side": "BUY", "timeInForce": "IOC", "pegPriceType": "MARKET_PEG"}).json
    assert (best["status"], best["executedQty"], best["peggedPrice"]) == ("EXPIRED", "0.01000000", "60000.00000000")
    assert best["expiryReason"] == "UNFILLED_IOC_QUANTITY_EXPIRED"


def test_what_has_no_price_to_follow_says_so(traders: Pair) -> None:
    alice, _ = traders
    form = {"symbol": "ETH_BTC", "side": "SELL", "quantity": "0.01"}
    pegged = {"type": "LIMIT", "timeInForce": "GTC", "pegPriceType": "PRIMARY_PEG"}
    for more in (pegged, {"type": "STOP_LOSS", "trailingDelta": "100"}):
        answer = alice.call("POST", "/v1/order", **form, **more)
        assert (answer.status, answer.json["code"]) == (400, -2010)
        assert answer.json["msg"] == "The market has no price that this order could follow."


def test_an_order_may_be_replaced_by_one_that_waits(traders: Pair) -> None:
    alice, _ = traders
    mark(traders, "50000")
    until = int(time.time() + 3_600) * 1_000
    resting = alice.order("BUY", "0.01", "40000").json
    form: Json = {"symbol": "BTC_USDT", "side": "BUY", "type": "STOP_LOSS_LIMIT", "quantity": "0.01", "price": "56000"}
    form |= {"timeInForce": "GTD", "goodTillDate": until, "stopPrice": "55000", "newOrderRespType": "RESULT"}
    form |= {"cancelReplaceMode": "STOP_ON_FAILURE", "cancelOrderId": resting["orderId"]}
    replaced = alice.call("POST", "/v1/order/cancelReplace", **form).json
    placed = replaced["newOrderResponse"]
    assert (placed["stopPrice"], placed["workingTime"], placed["type"]) == ("55000.00000000", -1, "STOP_LOSS_LIMIT")
    assert alice.seen(placed)["goodTillDate"] == until
    again = {**form, "cancelOrderId": placed["orderId"], "stopPrice": "54000"}
    replaced = alice.call("POST", "/v1/order/cancelReplace", **again).json
    assert replaced["cancelResponse"]["stopPrice"] == "55000.00000000"


def test_cancel_of_all_answers_with_each_order_and_its_terms(traders: Pair) -> None:
    alice, _ = traders
    mark(traders, "50000")
    alice.order("SELL", "0.1", "60000", icebergQty="0.02")
    stop(alice, "SELL", "0.01", stopPrice="40000", trailingDelta="100")
    alice.order("BUY", "0.01", "40000")
    canceled = alice.call("DELETE", "/v1/openOrders", symbol="BTC_USDT").json
    assert [(order["type"], order["status"]) for order in canceled] == [
        ("LIMIT", "CANCELED"),
        ("STOP_LOSS", "CANCELED"),
        ("LIMIT", "CANCELED"),
    ]
    assert (canceled[0]["icebergQty"], canceled[1]["trailingDelta"]) == ("0.02000000", 100)
    assert canceled[2].keys().isdisjoint({"icebergQty", "stopPrice", "trailingDelta"})
    assert alice.call("GET", "/v1/openOrders").json == []


def test_a_stop_sent_again_is_answered_as_it_stands(traders: Pair) -> None:
    alice, _ = traders
    mark(traders, "50000")
    first = stop(alice, "SELL", "0.01", stopPrice="40000", newClientOrderId="stop-again")
    again = stop(alice, "SELL", "0.01", stopPrice="40000", newClientOrderId="stop-again")
    assert (again["orderId"], again["duplicate"], again["stopPrice"]) == (first["orderId"], True, first["stopPrice"])
    other = alice.order("SELL", "0.01", "1", type="STOP_LOSS", **BARE, stopPrice="41000", newClientOrderId="stop-again")
    assert (other.status, other.json["code"]) == (409, -2010)


def test_every_order_type_and_what_bounds_it_is_shown(traders: Pair) -> None:
    alice, _ = traders
    (symbol,) = alice.public("/api/v3/exchangeInfo?symbol=BTCUSDT").json["symbols"]
    assert symbol["status"] == "TRADING"
    assert len(symbol["orderTypes"]) == 7
    filters = {one["filterType"] for one in symbol["filters"]}
    assert {"ICEBERG_PARTS", "TRAILING_DELTA", "MAX_NUM_ORDERS"} <= filters
    assert alice.public("/api/v3/exchangeInfo?symbolStatus=AUCTION_MATCH").json["symbols"] == []
