"""Binance's face: the same venue under /api/v3 and beside it, with its spelling and its refusals."""

from __future__ import annotations

from typing import Any

import pytest

from exchange.core.readers import AssetView, SymbolView
from exchange.gateway.faces import BINANCE, OURS, faces
from tests.gateway.running import Exchange, Trader

Pair = tuple[Trader, Trader]
LIMIT = {
    "symbol": "BTCUSDT",
    "side": "SELL",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01",
    "price": "70000",
}


def place(trader: Trader, **changes: object) -> Any:
    """POST /api/v3/order, the whole answer."""
    return trader.call("POST", "/api/v3/order", **{**LIMIT, **changes})


def test_order_is_one_order_under_both_faces_and_each_spells_its_symbol(traders: Pair) -> None:
    alice, _ = traders
    placed = place(alice, newClientOrderId="of-both").json
    assert placed["symbol"] == "BTCUSDT"
    theirs = alice.call("GET", "/api/v3/order", symbol="BTCUSDT", orderId=placed["orderId"]).json
    ours = alice.call("GET", "/v1/order", symbol="BTC_USDT", orderId=placed["orderId"]).json
    assert theirs == {**ours, "symbol": "BTCUSDT"}
    assert alice.call("GET", "/api/v3/openOrders").json == [theirs]
    canceled = alice.call("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="of-both").json
    assert (canceled["symbol"], canceled["status"], canceled["origClientOrderId"]) == ("BTCUSDT", "CANCELED", "of-both")


@pytest.mark.parametrize(("path", "symbol"), [("/api/v3", "BTC_USDT"), ("/v1", "BTCUSDT"), ("/api/v3", "btcusdt")])
def test_spelling_of_the_other_face_is_no_symbol(exchange: Exchange, path: str, symbol: str) -> None:
    answer = exchange.trader("alice").public(f"{path}/depth?symbol={symbol}")
    assert (answer.status, answer.json["code"], answer.json["msg"]) == (400, -1121, "Invalid symbol.")


def test_placement_sent_again_is_a_duplicate_on_binances_face_and_an_answer_on_ours(traders: Pair) -> None:
    alice, _ = traders
    first = place(alice, newClientOrderId="again").json
    repeated = place(alice, newClientOrderId="again")
    assert (repeated.status, repeated.json["code"], repeated.json["msg"]) == (400, -2010, "Duplicate order sent.")
    conflict = place(alice, newClientOrderId="again", price="71000")
    assert (conflict.status, conflict.json["code"], conflict.json["msg"]) == (400, -2010, "Duplicate order sent.")
    ours = alice.call("POST", "/v1/order", **{**LIMIT, "symbol": "BTC_USDT", "newClientOrderId": "again"}).json
    assert (ours["orderId"], ours["duplicate"]) == (first["orderId"], True)


def test_order_test_says_what_is_wrong_and_places_nothing(exchange: Exchange, traders: Pair) -> None:
    alice, _ = traders
    before = exchange.sequence()
    assert alice.call("POST", "/api/v3/order/test", **LIMIT).json == {}
    wrong = alice.call("POST", "/api/v3/order/test", **{**LIMIT, "price": "70000.001"})
    assert (wrong.status, wrong.json["code"], wrong.json["msg"]) == (400, -1013, "Filter failure: PRICE_FILTER")
    rates = alice.call("POST", "/api/v3/order/test", **LIMIT, computeCommissionRates="true").json
    assert rates["standardCommissionForOrder"] == {"maker": "0.00100000", "taker": "0.00100000"}
    assert rates["discount"]["enabledForAccount"] is False
    assert exchange.sequence() - before <= 2  # the clock's own commands, none of ours
    assert alice.call("GET", "/api/v3/openOrders").json == []


def test_my_filters_are_those_of_exchange_info(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    (symbol,) = alice.public("/api/v3/exchangeInfo?symbol=BTCUSDT").json["symbols"]
    mine = alice.call("GET", "/api/v3/myFilters", symbol="BTCUSDT").json
    assert mine == {"exchangeFilters": [], "symbolFilters": symbol["filters"], "assetFilters": []}
    assert {one["filterType"] for one in symbol["filters"]} >= {
        "PRICE_FILTER",
        "LOT_SIZE",
        "MARKET_LOT_SIZE",
        "NOTIONAL",
    }


def test_account_names_a_sequence_that_grows_with_its_events(traders: Pair) -> None:
    alice, _ = traders
    before = alice.call("GET", "/api/v3/account").json["sequence"]
    place(alice)
    after = alice.call("GET", "/api/v3/account").json["sequence"]
    assert after % 4 == before % 4 == 3
    assert after >= before + 4


# ---- beside spot trading ---------------------------------------------------------------------------------------------


def test_what_clients_ask_while_they_load_is_answered(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    for path, expected in [
        ("/sapi/v1/system/status", {"status": 0, "msg": "normal"}),
        ("/sapi/v1/margin/allPairs", []),
        ("/fapi/v1/exchangeInfo", {"symbols": []}),
        ("/dapi/v1/exchangeInfo", {"symbols": []}),
        ("/sapi/v1/spot/delist-schedule", []),
    ]:
        assert alice.public(path).json == expected
        assert alice.call("GET", path).json == expected  # ccxt signs these too
    assert alice.call("GET", "/sapi/v1/margin/isolated/allPairs").json == []
    assert alice.call("GET", "/sapi/v1/capital/deposit/hisrec", coin="BTC").json == []
    assert alice.call("GET", "/sapi/v1/asset/transfer", type="MAIN_UMFUTURE").json == {"total": 0, "rows": []}
    assert alice.call("GET", "/sapi/v1/account/status").json == {"data": "Normal"}


def test_coins_are_the_assets_with_the_balances_of_the_account(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    coins = alice.call("GET", "/sapi/v1/capital/config/getall").json
    assert {coin["coin"]: (coin["free"], coin["locked"]) for coin in coins} == alice.balances()
    assert all(coin["networkList"] == [] and not coin["withdrawAllEnable"] for coin in coins)


def test_trade_fees_are_the_rates_of_the_account(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    rows = alice.call("GET", "/sapi/v1/asset/tradeFee").json
    assert {"symbol": "BTCUSDT", "makerCommission": "0.00100000", "takerCommission": "0.00100000"} in rows
    assert alice.call("GET", "/sapi/v1/asset/tradeFee", symbol="BTCUSDT").json == [
        row for row in rows if row["symbol"] == "BTCUSDT"
    ]


def test_restrictions_are_those_of_the_key_that_asks(exchange: Exchange) -> None:
    shown = exchange.trader("alice").call("GET", "/sapi/v1/account/apiRestrictions").json
    assert (shown["enableReading"], shown["enableSpotAndMarginTrading"], shown["enableWithdrawals"]) == (
        True,
        True,
        False,
    )
    assert (shown["ipRestrict"], shown["enableFutures"]) == (False, False)


def test_wallet_that_is_not_open_says_so(exchange: Exchange) -> None:
    answer = exchange.trader("alice").call("GET", "/sapi/v1/capital/deposit/address", coin="BTC")
    assert (answer.status, answer.json["code"]) == (400, -1020)
    assert "no deposits" in answer.json["msg"]


def test_of_two_symbols_that_are_spelled_alike_the_older_has_the_name() -> None:
    assets = [AssetView(one, name, 8) for one, name in enumerate(("A", "BC", "AB", "C"), 1)]
    rest = (1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0)
    symbols = [SymbolView(one, name, *rest) for one, name in ((1, "A_BC"), (2, "AB_C"))]
    symbols = [view._replace(base_asset=1, quote_asset=2) for view in symbols]
    both = faces(assets, symbols)
    assert both[BINANCE].reference.named("ABC").symbol == 1
    assert [both[OURS].reference.named(name).symbol for name in ("A_BC", "AB_C")] == [1, 2]
