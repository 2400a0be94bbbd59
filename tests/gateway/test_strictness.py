"""Bad input of every sort: a 4xx with a code and a sentence, never a 5xx, and the engine's sequence does not move."""

from __future__ import annotations

import pytest

from tests.gateway.running import Answer, Exchange, Trader
from tests.gateway.test_amounts import NASTY

Pair = tuple[Trader, Trader]
LIMIT = {
    "symbol": "BTC_USDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "10000",
}  # fmt: skip
MODE = "ALLOW_FAILURE"
NUMBERS = [
    text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    for text in NASTY
    if text and len(text) < 5000
] + ["9007199254740993", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616"]


def assert_refused(answer: Answer) -> None:
    """A 4xx with the three fields that every error has."""
    assert 400 <= answer.status < 500, answer
    assert list(answer.json) == ["code", "msg", "outcome"]
    assert answer.json["code"] < 0
    assert answer.json["outcome"] == "rejected"
    assert answer.json["msg"]
    assert "Traceback" not in answer.json["msg"]


@pytest.mark.parametrize(
    ("field", "method", "path", "form"),
    [
        ("price", "POST", "/v1/order", LIMIT),
        ("quantity", "POST", "/v1/order", LIMIT),
        (
            "quoteOrderQty",
            "POST",
            "/v1/order",
            {"symbol": "BTC_USDT", "side": "BUY", "type": "MARKET"},
        ),
        ("goodTillDate", "POST", "/v1/order", {**LIMIT, "price": "x", "timeInForce": "GTD"}),  # one is a time: 2255
        ("stopPrice", "POST", "/v1/order", {**LIMIT, "type": "TAKE_PROFIT_LIMIT"}),
        ("icebergQty", "POST", "/v1/order", LIMIT),
        ("trailingDelta", "POST", "/v1/order", {**LIMIT, "type": "STOP_LOSS_LIMIT"}),
        ("newQty", "PUT", "/v1/order/amend/keepPriority", {"symbol": "BTC_USDT", "orderId": 1}),
        ("orderId", "PUT", "/v1/order/amend/keepPriority", {"symbol": "BTC_USDT", "newQty": "x"}),
        ("orderId", "GET", "/v1/order", {"symbol": "BTC_USDT"}),
        ("recvWindow", "GET", "/v1/account", {}),
        ("timestamp", "GET", "/v1/account", {}),
        ("cancelOrderId", "POST", "/v1/order/cancelReplace", {**LIMIT, "price": "x", "cancelReplaceMode": MODE}),
    ],
)  # fmt: skip
def test_nasty_number_in_any_field_is_refused_and_nothing_happens(
    exchange: Exchange, field: str, method: str, path: str, form: dict[str, str]
) -> None:
    alice = exchange.trader("alice")
    before = exchange.sequence()
    accepted = []
    for text in NUMBERS:
        answer = alice.signed_form(method, path, {**form, field: text})
        if answer.status == 200:
            accepted.append(text)
        else:
            assert_refused(answer)
    assert accepted == []
    assert exchange.sequence() == before


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": None}, -1102),
        ({"symbol": "btc_usdt"}, -1121),
        ({"symbol": "BTCUSDT"}, -1121),
        ({"symbol": "\uff11\uff12"}, -1121),
        ({"side": None}, -1102),
        ({"side": "buy"}, -1117),
        ({"side": "BOTH"}, -1117),
        ({"type": None}, -1102),
        ({"type": "limit"}, -1116),
        ({"type": "STOP_LOSS"}, -1106),
        ({"type": "TAKE_PROFIT_LIMIT"}, -1102),
        ({"timeInForce": None}, -1102),
        ({"timeInForce": "GTX"}, -1115),
        ({"timeInForce": "GTD"}, -1102),
        ({"goodTillDate": "99999999999999"}, -1106),
        ({"quantity": None}, -1102),
        ({"price": None}, -1102),
        ({"quoteOrderQty": "10"}, -1106),
        ({"type": "MARKET", "timeInForce": "IOC", "price": None}, -1106),
        ({"type": "MARKET", "timeInForce": None}, -1106),
        ({"type": "MARKET", "timeInForce": None, "price": None, "quoteOrderQty": "10"}, -1106),
        ({"type": "MARKET", "timeInForce": None, "price": None, "quantity": None}, -1102),
        ({"type": "LIMIT_MAKER"}, -1106),
        ({"newClientOrderId": "has space"}, -1100),
        ({"newClientOrderId": "x" * 37}, -1100),
        ({"newClientOrderId": ""}, -1118),
        ({"newClientOrderId": "\u00e9"}, -1100),
        ({"newOrderRespType": "ALL"}, -1130),
        ({"selfTradePreventionMode": "expire_maker"}, -1130),
        ({"icebergQty": "0.001", "timeInForce": "FOK"}, -1014),
        ({"icebergQty": "1000"}, -2010),
        ({"pegPriceType": "BEST", "price": None}, -1210),
        ({"pegPriceType": "MARKET_PEG", "price": None, "pegOffsetType": "TICK", "pegOffsetValue": "1"}, -1211),
        ({"accountId": "17"}, -1103),
        ({"account": "17"}, -1103),
        ({"stopPrice": "1"}, -1106),
        ({"strategyId": "1"}, -1106),
        ({"nonsense": "1"}, -1103),
        ({"price": ""}, -1105),
        ({"price": "0"}, -1013),
        ({"price": "10000.001"}, -1013),
        ({"price": "10000.000000001"}, -1111),
        ({"price": "1000000.01"}, -1013),
        ({"quantity": "0"}, -1013),
        ({"quantity": "0.000001"}, -1013),
        ({"quantity": "0.0000000001"}, -1111),
        ({"quantity": "9000.00001"}, -1013),
        ({"quantity": "0.00001"}, -1013),
        ({"quantity": "9000", "price": "1000000"}, -1013),
    ],
)
def test_wrong_order_form_is_refused_with_its_code_and_nothing_happens(
    exchange: Exchange, changes: dict[str, str | None], code: int
) -> None:
    before = exchange.sequence()
    form = {name: value for name, value in {**LIMIT, **changes}.items() if value is not None}
    answer = exchange.trader("alice").signed_form("POST", "/v1/order", form)
    assert_refused(answer)
    assert answer.json["code"] == code
    assert exchange.sequence() == before


@pytest.mark.parametrize(
    ("method", "path", "form", "code"),
    [
        ("DELETE", "/v1/order", {"symbol": "BTC_USDT"}, -1102),
        ("DELETE", "/v1/order", {"symbol": "BTC_USDT", "orderId": "0"}, -1108),
        ("DELETE", "/v1/order", {"symbol": "BTC_USDT", "origClientOrderId": "\u00e9"}, -1100),
        ("DELETE", "/v1/openOrders", {}, -1102),
        ("GET", "/v1/openOrders", {"symbol": "nope"}, -1121),
        ("GET", "/v1/order", {"symbol": "BTC_USDT"}, -1102),
        ("GET", "/v1/account", {"omitZeroBalances": "TRUE"}, -1130),
        ("GET", "/v1/account", {"limit": "1"}, -1103),
        ("PUT", "/v1/order/amend/keepPriority", {"symbol": "BTC_USDT", "orderId": "1"}, -1102),
        ("POST", "/v1/order/cancelReplace", LIMIT, -1102),
        ("POST", "/v1/order/cancelReplace", {**LIMIT, "cancelReplaceMode": "STOP", "cancelOrderId": "1"}, -1130),
        ("POST", "/v1/order/cancelReplace", {**LIMIT, "cancelReplaceMode": "STOP_ON_FAILURE"}, -1102),
    ],
)
def test_wrong_request_to_other_endpoints_is_refused_and_nothing_happens(
    exchange: Exchange, method: str, path: str, form: dict[str, str], code: int
) -> None:
    before = exchange.sequence()
    answer = exchange.trader("alice").signed_form(method, path, form)
    assert_refused(answer)
    assert answer.json["code"] == code
    assert exchange.sequence() == before


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/v1/depth", 400, -1102),
        ("/v1/depth?symbol=nope", 400, -1121),
        ("/v1/depth?symbol=BTC_USDT&limit=0", 400, -1108),
        ("/v1/depth?symbol=BTC_USDT&limit=-1", 400, -1100),
        ("/v1/depth?symbol=BTC_USDT&symbol=ETH_USDT", 400, -1101),
        ("/v1/depth?symbol=BTC_USDT&level=5", 400, -1103),
        ("/v1/ping?x=1", 400, -1103),
        ("/v1/ping?x", 400, -1100),
        ("/v1/time?%", 400, -1100),
        ("/v1/exchangeInfo?symbol=BTC_USDT&symbols=%5B%5D", 400, -1128),
        ("/v1/exchangeInfo?symbols=BTC_USDT", 400, -1130),
        ("/v1/exchangeInfo?symbols=%5B1%5D", 400, -1130),
        ("/v1/exchangeInfo?symbols=%5B%22BTC_USDT%22,%22BTC_USDT%22%5D", 400, -1151),
        ("/v1/exchangeInfo?symbolStatus=OPEN", 400, -1122),
        ("/v1/exchangeInfo?symbols=" + "%5B" * 2000, 400, -1130),
        ("/", 404, -1020),
        ("/v1/order/", 404, -1020),
        ("/v1//order", 404, -1020),
        ("/V1/ping", 404, -1020),
        ("/v1/ping/../account", 404, -1020),
    ],
)
def test_wrong_public_request_is_refused(exchange: Exchange, target: str, status: int, code: int) -> None:
    answer = exchange.trader("alice").public(target)
    assert_refused(answer)
    assert (answer.status, answer.json["code"]) == (status, code)


@pytest.mark.parametrize(
    ("query", "body", "code"),
    [
        ("symbol=BTC_USDT", "symbol=ETH_USDT", -1101),
        ("symbol=BTC_USDT&symbol=BTC_USDT", "", -1101),
        ("timestamp=1", "", -1101),
        ("", '{"symbol": "BTC_USDT"}', -1100),
        ("", "symbol=BTC_USDT&&side=BUY", -1100),
        ("", "\udcff=1", -1100),
    ],
)
def test_duplicate_or_malformed_parameters_are_refused(exchange: Exchange, query: str, body: str, code: int) -> None:
    alice = exchange.trader("alice")
    before = exchange.sequence()
    raw = alice.signed_bytes(query, body)
    headers = {"X-MBX-APIKEY": alice.api_key}
    answer = alice.send("POST", f"/v1/order?{query}" if query else "/v1/order", raw, headers)
    assert_refused(answer)
    assert answer.json["code"] == code
    assert exchange.sequence() == before


def test_public_depth_of_an_unlimited_number_of_levels_is_capped(exchange: Exchange) -> None:
    assert exchange.trader("alice").public("/v1/depth?symbol=BTC_USDT&limit=999999").status == 200


def test_parameters_may_be_in_the_query_the_body_or_both_whatever_the_content_type(traders: Pair) -> None:
    alice, _ = traders
    pieces = [f"{name}={value}" for name, value in LIMIT.items()]
    for cut in (0, 3, len(pieces)):
        query, body = "&".join(pieces[:cut]), "&".join(pieces[cut:])
        for content_type in ("application/json", "text/plain", "application/x-www-form-urlencoded", ""):
            raw = alice.signed_bytes(query, body)
            headers = {"X-MBX-APIKEY": alice.api_key, "Content-Type": content_type}
            answer = alice.send("POST", f"/v1/order?{query}", raw, headers)
            assert answer.status == 200, answer
    order_id = alice.call("GET", "/v1/openOrders").json[0]["orderId"]
    raw = alice.signed_bytes("", f"symbol=BTC_USDT&orderId={order_id}")
    assert alice.send("DELETE", "/v1/order", raw, {"X-MBX-APIKEY": alice.api_key}).json["status"] == "CANCELED"
