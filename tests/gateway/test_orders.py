"""Orders over REST against a real process: placing, duplicates, cancels, amendments, replacements, queries."""

from __future__ import annotations

import concurrent.futures
import re
import time
from decimal import Decimal

import pytest

from tests.gateway.running import Answer, Exchange, Trader

Pair = tuple[Trader, Trader]
ACK_FIELDS = ["symbol", "orderId", "orderListId", "clientOrderId", "transactTime"]
RESULT_FIELDS = [
    *ACK_FIELDS, "price", "origQty", "executedQty", "origQuoteOrderQty", "cummulativeQuoteQty", "status", "timeInForce",
    "type", "side", "workingTime", "selfTradePreventionMode",
]  # fmt: skip


def refusal(answer: Answer) -> tuple[int, int, str]:
    """(status, code, msg) of an answer that promises to have had no effect."""
    assert answer.json["outcome"] == "rejected"
    return answer.status, answer.json["code"], answer.json["msg"]


def test_limit_order_rests_and_is_answered_in_full(traders: Pair) -> None:
    alice, _ = traders
    answer = alice.order("SELL", "0.5", "70000.10")
    assert answer.status == 200
    order = answer.json
    assert list(order) == [*RESULT_FIELDS, "fills"]
    assert order["fills"] == []
    assert (order["price"], order["origQty"]) == ("70000.10000000", "0.50000000")
    assert (order["status"], order["side"], order["type"], order["timeInForce"]) == ("NEW", "SELL", "LIMIT", "GTC")
    assert re.fullmatch("[a-zA-Z0-9_-]{22,36}", order["clientOrderId"])
    assert int(answer.headers["x-exchange-sequence"]) > 0
    assert alice.balances()["BTC"][1] == "0.50000000"


@pytest.mark.parametrize(
    ("kind", "fields"), [("ACK", ACK_FIELDS), ("RESULT", RESULT_FIELDS), ("FULL", [*RESULT_FIELDS, "fills"])]
)
def test_response_type_decides_the_fields(traders: Pair, kind: str, fields: list[str]) -> None:
    assert list(traders[0].order("BUY", "0.01", "10000", newOrderRespType=kind).json) == fields


def test_taker_fills_at_maker_prices_and_pays_its_fee_in_what_it_receives(traders: Pair) -> None:
    alice, bob = traders
    before = {name: Decimal(amount) for name, (amount, _) in bob.balances().items()}
    alice.order("SELL", "0.01", "60000")
    alice.order("SELL", "0.02", "60001")
    order = bob.order("BUY", "0.04", "60002").json
    assert (order["status"], order["executedQty"]) == ("PARTIALLY_FILLED", "0.03000000")
    assert order["cummulativeQuoteQty"] == "1800.02000000"
    assert [(fill["price"], fill["qty"]) for fill in order["fills"]] == [
        ("60000.00000000", "0.01000000"),
        ("60001.00000000", "0.02000000"),
    ]
    assert {fill["commissionAsset"] for fill in order["fills"]} == {"BTC"}
    assert sum(Decimal(fill["commission"]) for fill in order["fills"]) == Decimal("0.00003000")
    after = {name: Decimal(free) + Decimal(locked) for name, (free, locked) in bob.balances().items()}
    assert after["BTC"] - before["BTC"] == Decimal("0.02997")
    assert after["USDT"] - before["USDT"] == Decimal("-1800.02")


def test_market_order_by_quantity_and_by_quote_amount(traders: Pair) -> None:
    alice, bob = traders
    alice.order("SELL", "1", "60000")
    market = {"type": "MARKET", "timeInForce": None, "price": None}
    by_quantity = bob.order("BUY", "0.1", "", **market).json
    assert (by_quantity["status"], by_quantity["executedQty"]) == ("FILLED", "0.10000000")
    by_quote = bob.order("BUY", "", "", **market, quantity=None, quoteOrderQty="600.5").json
    assert (by_quote["status"], by_quote["executedQty"]) == ("FILLED", "0.01000000")
    assert (by_quote["origQuoteOrderQty"], by_quote["cummulativeQuoteQty"]) == ("600.50000000", "600.00000000")


def test_market_order_that_runs_out_of_book_expires_with_what_it_filled(traders: Pair) -> None:
    alice, bob = traders
    alice.order("SELL", "0.1", "60000")
    order = bob.order("BUY", "0.3", "", type="MARKET", timeInForce=None, price=None).json
    assert (order["status"], order["executedQty"]) == ("EXPIRED", "0.10000000")


@pytest.mark.parametrize(
    ("time_in_force", "status", "filled"), [("IOC", "EXPIRED", "0.10000000"), ("FOK", "EXPIRED", "0.00000000")]
)
def test_order_that_may_not_rest_ends(traders: Pair, time_in_force: str, status: str, filled: str) -> None:
    alice, bob = traders
    alice.order("SELL", "0.1", "60000")
    order = bob.order("BUY", "0.3", "60000", timeInForce=time_in_force).json
    assert (order["status"], order["executedQty"]) == (status, filled)


def test_limit_maker_that_would_take_is_refused(traders: Pair) -> None:
    alice, bob = traders
    alice.order("SELL", "0.1", "60000")
    answer = bob.order("BUY", "0.1", "60000", type="LIMIT_MAKER", timeInForce=None)
    assert refusal(answer) == (400, -2010, "Order would immediately match and take.")
    assert list(bob.order("BUY", "0.1", "59999", type="LIMIT_MAKER", timeInForce=None).json) == ACK_FIELDS


def test_own_orders_do_not_trade_with_each_other(traders: Pair) -> None:
    alice, _ = traders
    resting = alice.order("SELL", "0.1", "60000").json["orderId"]
    assert alice.order("BUY", "0.1", "60000").json["status"] == "NEW"
    assert alice.call("GET", "/v1/order", symbol="BTC_USDT", orderId=resting).json["status"] == "EXPIRED_IN_MATCH"
    assert alice.call("GET", "/v1/order", symbol="BTC_USDT", orderId=resting).json["origQty"] == "0.10000000"
    taker = alice.order("SELL", "0.1", "60000", selfTradePreventionMode="EXPIRE_TAKER").json
    assert (taker["status"], taker["preventedQuantity"]) == ("EXPIRED_IN_MATCH", "0.10000000")


def test_same_client_id_and_content_gives_the_first_result(traders: Pair) -> None:
    alice, _ = traders
    first = alice.order("BUY", "0.01", "10000", newClientOrderId="twice").json
    again = alice.order("BUY", "0.01", "10000.00", newClientOrderId="twice")
    assert again.status == 200
    assert again.json["duplicate"] is True
    assert again.json["orderId"] == first["orderId"]
    assert "duplicate" not in first
    alice.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=first["orderId"])
    closed = alice.order("BUY", "0.01", "10000", newClientOrderId="twice").json
    assert (closed["orderId"], closed["status"], closed["duplicate"]) == (first["orderId"], "CANCELED", True)


def test_same_client_id_and_other_content_is_a_conflict(traders: Pair) -> None:
    alice, bob = traders
    alice.order("BUY", "0.01", "10000", newClientOrderId="conflict")
    answer = alice.order("BUY", "0.02", "10000", newClientOrderId="conflict")
    assert refusal(answer) == (409, -2010, "Duplicate order sent.")
    assert bob.order("BUY", "0.02", "10000", newClientOrderId="conflict").status == 200


def test_fifty_parallel_copies_make_one_order(traders: Pair) -> None:
    alice, _ = traders
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: alice.order("BUY", "0.01", "10000", newClientOrderId="fifty"), range(50)))
    assert {answer.status for answer in answers} == {200}
    assert len({answer.json["orderId"] for answer in answers}) == 1
    assert sum("duplicate" not in answer.json for answer in answers) == 1
    assert len(alice.call("GET", "/v1/openOrders").json) == 1


def test_insufficient_balance_is_refused_without_effect(traders: Pair) -> None:
    answer = traders[0].order("SELL", "200", "40000")
    assert refusal(answer) == (400, -2010, "Account has insufficient balance for requested action.")


def test_cancel_by_either_id_gives_the_order_as_it_ended(traders: Pair) -> None:
    alice, _ = traders
    placed = alice.order("BUY", "0.01", "10000", newClientOrderId="mine").json
    canceled = alice.call(
        "DELETE", "/v1/order", symbol="BTC_USDT", origClientOrderId="mine", newClientOrderId="my-cancel"
    ).json
    assert (canceled["orderId"], canceled["status"]) == (placed["orderId"], "CANCELED")
    assert (canceled["origClientOrderId"], canceled["clientOrderId"]) == ("mine", "my-cancel")
    assert (canceled["origQty"], canceled["executedQty"]) == ("0.01000000", "0.00000000")
    again = alice.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=placed["orderId"])
    assert refusal(again) == (400, -2011, "Unknown order sent.")


def test_cancel_of_anothers_order_or_on_another_symbol_is_unknown(traders: Pair) -> None:
    alice, bob = traders
    order_id = alice.order("BUY", "0.01", "10000").json["orderId"]
    for trader, symbol in ((bob, "BTC_USDT"), (alice, "ETH_USDT")):
        assert refusal(trader.call("DELETE", "/v1/order", symbol=symbol, orderId=order_id))[1] == -2011
        assert refusal(trader.call("GET", "/v1/order", symbol=symbol, orderId=order_id))[1] == -2013
    assert alice.call("GET", "/v1/order", symbol="BTC_USDT", orderId=order_id).json["status"] == "NEW"


def test_cancel_with_two_ids_that_disagree_says_so(traders: Pair) -> None:
    alice, _ = traders
    one = alice.order("BUY", "0.01", "10000", newClientOrderId="one").json["orderId"]
    alice.order("BUY", "0.01", "10000", newClientOrderId="two")
    wrong = alice.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=one, origClientOrderId="two")
    assert refusal(wrong) == (400, -2039, "Cancel order is invalid. Check origClOrdId and orderId.")
    right = alice.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=one, origClientOrderId="one")
    assert right.status == 200


def test_cancel_all_closes_one_symbol_and_then_finds_nothing(traders: Pair) -> None:
    alice, _ = traders
    ids = [alice.order("BUY", "0.01", price).json["orderId"] for price in ("10000", "10001", "10002")]
    alice.order("BUY", "0.1", "1000", symbol="ETH_USDT")
    canceled = alice.call("DELETE", "/v1/openOrders", symbol="BTC_USDT").json
    assert [order["orderId"] for order in canceled] == ids
    assert {order["status"] for order in canceled} == {"CANCELED"}
    nothing = alice.call("DELETE", "/v1/openOrders", symbol="BTC_USDT")
    assert refusal(nothing) == (400, -2011, "Unknown order sent.")
    assert [order["symbol"] for order in alice.call("GET", "/v1/openOrders").json] == ["ETH_USDT"]


def test_amendment_keeps_priority_and_only_reduces(traders: Pair) -> None:
    alice, bob = traders
    order_id = alice.order("SELL", "0.5", "60000").json["orderId"]
    second = alice.order("SELL", "0.5", "60000").json["orderId"]
    path = "/v1/order/amend/keepPriority"
    amended = alice.call("PUT", path, symbol="BTC_USDT", orderId=order_id, newQty="0.2").json["amendedOrder"]
    assert (amended["orderId"], amended["qty"], amended["status"]) == (order_id, "0.20000000", "NEW")
    bob.order("BUY", "0.2", "60000")
    assert alice.call("GET", "/v1/order", symbol="BTC_USDT", orderId=order_id).json["status"] == "FILLED"
    more = alice.call("PUT", path, symbol="BTC_USDT", orderId=second, newQty="0.6")
    assert refusal(more)[:2] == (400, -2038)


def test_query_finds_open_and_closed_orders_with_times(traders: Pair) -> None:
    alice, _ = traders
    placed = alice.order("BUY", "0.01", "10000", newClientOrderId="query").json
    for names in ({"orderId": placed["orderId"]}, {"origClientOrderId": "query"}):
        found = alice.call("GET", "/v1/order", symbol="BTC_USDT", **names)
        assert found.json["time"] == placed["transactTime"]
        assert found.json["isWorking"] is True
        assert int(found.headers["x-exchange-sequence"]) > 0
    missing = alice.call("GET", "/v1/order", symbol="BTC_USDT", orderId=10**15)
    assert refusal(missing) == (400, -2013, "Order does not exist.")


def test_read_after_an_answer_is_not_older_than_it(traders: Pair) -> None:
    alice, _ = traders
    for _ in range(20):
        placed = alice.order("BUY", "0.01", "10000")
        orders = alice.call("GET", "/v1/openOrders", symbol="BTC_USDT")
        assert int(orders.headers["x-exchange-sequence"]) >= int(placed.headers["x-exchange-sequence"])
        assert placed.json["orderId"] in {order["orderId"] for order in orders.json}


def test_gtd_order_expires_when_its_time_has_come(traders: Pair) -> None:
    alice, _ = traders
    due_ms = time.time_ns() // 1_000_000 + 300
    order = alice.order("BUY", "0.01", "10000", timeInForce="GTD", goodTillDate=due_ms).json
    assert order["status"] == "NEW"
    while True:
        found = alice.call("GET", "/v1/order", symbol="BTC_USDT", orderId=order["orderId"]).json
        if found["status"] != "NEW":
            break
    assert (found["status"], found["goodTillDate"]) == ("EXPIRED", due_ms)
    assert found["updateTime"] >= due_ms


def test_microseconds_are_given_to_who_asks(traders: Pair) -> None:
    alice, _ = traders
    for unit in ("MICROSECOND", "microsecond"):
        asked = alice.public("/v1/time", **{"X-MBX-TIME-UNIT": unit}).json["serverTime"]
        assert asked // 1000 >= alice.public("/v1/time").json["serverTime"] - 10_000
        assert asked > 10**15
    assert refusal(alice.public("/v1/time", **{"X-MBX-TIME-UNIT": "SECOND"}))[:2] == (400, -1194)


def test_account_shows_every_asset_with_its_decimals(traders: Pair) -> None:
    alice, _ = traders
    account = alice.call("GET", "/v1/account").json
    assert [row["asset"] for row in account["balances"]] == ["BTC", "ETH", "USDT"]
    assert all(re.fullmatch(r"\d+\.\d{8}", row[part]) for row in account["balances"] for part in ("free", "locked"))
    assert account["commissionRates"]["maker"] == "0.00100000"
    assert (account["uid"], account["accountType"], account["canTrade"]) == (16, "SPOT", True)


def test_depth_shows_the_open_orders(exchange: Exchange, traders: Pair) -> None:
    alice, _ = traders
    alice.order("SELL", "0.5", "60000")
    alice.order("BUY", "0.25", "59000")
    while True:
        book = alice.public("/v1/depth?symbol=BTC_USDT&limit=5").json
        if book["bids"] and book["asks"]:
            break
    assert [Decimal(part) for part in book["asks"][0]] == [60000, Decimal("0.5")]
    assert [Decimal(part) for part in book["bids"][0]] == [59000, Decimal("0.25")]
    assert book["lastUpdateId"] > 0


@pytest.mark.parametrize(
    ("cancels", "fits", "mode", "status", "code", "results"),
    [
        (True, True, "STOP_ON_FAILURE", 200, None, ("SUCCESS", "SUCCESS")),
        (True, True, "ALLOW_FAILURE", 200, None, ("SUCCESS", "SUCCESS")),
        (False, True, "STOP_ON_FAILURE", 400, -2022, ("FAILURE", "NOT_ATTEMPTED")),
        (False, True, "ALLOW_FAILURE", 409, -2021, ("FAILURE", "SUCCESS")),
        (True, False, "STOP_ON_FAILURE", 409, -2021, ("SUCCESS", "FAILURE")),
        (True, False, "ALLOW_FAILURE", 409, -2021, ("SUCCESS", "FAILURE")),
        (False, False, "STOP_ON_FAILURE", 400, -2022, ("FAILURE", "NOT_ATTEMPTED")),
        (False, False, "ALLOW_FAILURE", 400, -2022, ("FAILURE", "FAILURE")),
    ],
)
def test_cancel_replace_tells_both_results(
    traders: Pair, cancels: bool, fits: bool, mode: str, status: int, code: int | None, results: tuple[str, str]
) -> None:
    alice, _ = traders
    order_id = alice.order("BUY", "0.01", "10000").json["orderId"]
    affordable = {"side": "BUY", "quantity": "0.01", "price": "10001"}
    too_much = {"side": "SELL", "quantity": "200", "price": "40000"}
    answer = alice.call(
        "POST",
        "/v1/order/cancelReplace",
        symbol="BTC_USDT",
        type="LIMIT",
        timeInForce="GTC",
        **(affordable if fits else too_much),
        cancelReplaceMode=mode,
        cancelOrderId=order_id if cancels else 10**15,
    )
    assert answer.status == status
    data = answer.json if code is None else answer.json["data"]
    assert answer.json.get("code") == code
    assert (data["cancelResult"], data["newOrderResult"]) == results
    if code is not None:
        assert answer.json["outcome"] == ("accepted" if status == 409 else "rejected")
    open_ids = {order["orderId"] for order in alice.call("GET", "/v1/openOrders").json}
    assert (order_id in open_ids) is not cancels
    placed = results[1] == "SUCCESS"
    assert len(open_ids) == (not cancels) + placed
    assert data["newOrderResponse"] is None or ("orderId" in data["newOrderResponse"]) is placed
