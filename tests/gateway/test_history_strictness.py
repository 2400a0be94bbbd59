"""Bad parameters of history: a 4xx with its code and a sentence, never a 5xx; unusual good ones are taken."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from tests.gateway.running import Answer, Exchange
from tests.gateway.test_strictness import NUMBERS, assert_refused

SYMBOL = {"symbol": "BTC_USDT"}
CHART = {**SYMBOL, "interval": "1m"}
LARGE = ["9007199254740993", "9223372036854775807"]
"""The numbers among the nasty ones that are numbers."""
DAY_MS = 86_400_000
AMENDMENTS, MATCHES = "/v1/order/amendments", "/v1/myPreventedMatches"
LISTS = "/v1/allOrderList"


def ask(exchange: Exchange, path: str, form: dict[str, str]) -> Answer:
    """A GET, signed where the path needs it."""
    alice = exchange.trader("alice")
    if path in ("/v1/allOrders", "/v1/myTrades", "/v1/ledger", AMENDMENTS, MATCHES, LISTS, "/v1/orderList"):
        return alice.signed_form("GET", path, form)
    return alice.public(f"{path}?{urlencode(form, errors='surrogateescape')}")


@pytest.mark.parametrize(
    ("path", "form", "name", "taken"),
    [
        *(("/v1/allOrders", SYMBOL, name, LARGE) for name in ("orderId", "startTime", "endTime", "limit")),
        *(("/v1/myTrades", SYMBOL, name, LARGE) for name in ("orderId", "fromId", "startTime", "endTime", "limit")),
        *(("/v1/ledger", {}, name, LARGE) for name in ("orderId", "fromId", "startTime", "endTime", "limit")),
        *((AMENDMENTS, SYMBOL | {"orderId": "1"}, name, LARGE) for name in ("orderId", "fromExecutionId", "limit")),
        *((MATCHES, SYMBOL | {"orderId": "1"}, name, LARGE) for name in ("orderId", "fromPreventedMatchId", "limit")),
        (MATCHES, SYMBOL, "preventedMatchId", LARGE),
        *((LISTS, {}, name, LARGE) for name in ("fromId", "startTime", "endTime", "limit")),
        ("/v1/orderList", {}, "orderListId", []),
        *(("/v1/aggTrades", SYMBOL, name, LARGE) for name in ("fromId", "startTime", "endTime", "limit")),
        *(("/v1/klines", CHART, name, LARGE) for name in ("startTime", "endTime", "limit")),
        ("/v1/klines", CHART, "timeZone", ["+1", "-1", "-0"]),
        ("/v1/klines", CHART, "interval", []),
        ("/v1/trades", SYMBOL, "limit", LARGE),
        *(("/v1/historicalTrades", SYMBOL, name, LARGE) for name in ("fromId", "limit")),
        ("/v1/ledger", {}, "asset", []),
        *((path, CHART if path == "/v1/klines" else {}, "symbol", []) for path in ("/v1/allOrders", "/v1/klines")),
    ],
)
def test_nasty_value_of_any_parameter_is_refused(
    exchange: Exchange, path: str, form: dict[str, str], name: str, taken: list[str]
) -> None:
    before = exchange.sequence()
    accepted = []
    for text in NUMBERS:
        answer = ask(exchange, path, {**form, name: text})
        if answer.status == 200:
            accepted.append(text)
        else:
            assert_refused(answer)
    assert accepted == taken
    assert exchange.sequence() == before


@pytest.mark.parametrize(
    ("path", "form", "code"),
    [
        ("/v1/allOrders", {}, -1102),
        ("/v1/allOrders", {"symbol": "btc_usdt"}, -1121),
        ("/v1/allOrders", {**SYMBOL, "limit": "0"}, -1108),
        ("/v1/allOrders", {**SYMBOL, "fromId": "1"}, -1103),
        ("/v1/allOrders", {**SYMBOL, "startTime": ""}, -1105),
        ("/v1/allOrders", {**SYMBOL, "startTime": "1000", "endTime": str(1001 + DAY_MS)}, -1127),
        ("/v1/myTrades", {}, -1102),
        ("/v1/myTrades", {**SYMBOL, "orderId": "0"}, -1108),
        ("/v1/myTrades", {**SYMBOL, "startTime": "1", "endTime": str(2 + DAY_MS)}, -1127),
        ("/v1/myTrades", {**SYMBOL, "startTime": "1", "endTime": "99999999999999999999"}, -1108),
        ("/v1/myTrades", {**SYMBOL, "fromId": "1", "startTime": "1"}, -1128),
        ("/v1/myTrades", {**SYMBOL, "fromId": "1", "endTime": "1"}, -1128),
        ("/v1/myTrades", {**SYMBOL, "orderId": "1", "startTime": "1"}, -1128),
        ("/v1/myTrades", {**SYMBOL, "orderId": "1", "fromId": "1", "endTime": "1"}, -1128),
        (LISTS, {"startTime": "1000", "endTime": str(1001 + DAY_MS)}, -1127),
        (LISTS, {"fromId": "1", "startTime": "1"}, -1128),
        ("/v1/orderList", {"orderListId": "9223372036854775807"}, -2018),
        ("/v1/ledger", {"asset": "btc"}, -1130),
        ("/v1/ledger", SYMBOL, -1103),
        ("/v1/trades", {}, -1102),
        ("/v1/trades", {**SYMBOL, "fromId": "1"}, -1103),
        ("/v1/historicalTrades", {"symbol": "nope"}, -1121),
        ("/v1/aggTrades", {**SYMBOL, "fromId": "1", "startTime": "1"}, -1128),
        ("/v1/aggTrades", {**SYMBOL, "fromId": "1", "endTime": "1"}, -1128),
        ("/v1/klines", SYMBOL, -1102),
        ("/v1/klines", {"interval": "1m"}, -1102),
        ("/v1/klines", {**SYMBOL, "interval": "1H"}, -1120),
        ("/v1/klines", {**SYMBOL, "interval": "60"}, -1120),
        ("/v1/klines", {**CHART, "timeZone": "+14:01"}, -1130),
        ("/v1/klines", {**CHART, "timeZone": "Europe/Berlin"}, -1100),
    ],
)
def test_wrong_request_is_refused_with_its_code(exchange: Exchange, path: str, form: dict[str, str], code: int) -> None:
    answer = ask(exchange, path, form)
    assert_refused(answer)
    assert (answer.status, answer.json["code"]) == (400, code)


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/v1/allOrders", {**SYMBOL, "startTime": "1000", "endTime": str(1000 + DAY_MS)}),
        ("/v1/allOrders", {**SYMBOL, "startTime": "1000000000000000", "endTime": str(10**15 + DAY_MS * 1000)}),
        ("/v1/allOrders", {**SYMBOL, "orderId": "1", "endTime": "1"}),
        ("/v1/allOrders", {**SYMBOL, "startTime": "5", "endTime": "1"}),
        ("/v1/myTrades", {**SYMBOL, "orderId": "1", "fromId": "0"}),
        ("/v1/myTrades", {**SYMBOL, "startTime": "1000", "endTime": str(1000 + DAY_MS)}),
        (LISTS, {"startTime": "1000", "endTime": str(1000 + DAY_MS)}),
        (LISTS, {"fromId": "9223372036854775807"}),
        ("/v1/ledger", {"asset": "BTC", "orderId": "1", "fromId": "0", "startTime": "1", "endTime": "99999999999999"}),
        ("/v1/trades", {**SYMBOL, "limit": "99999"}),
        ("/v1/historicalTrades", {**SYMBOL, "fromId": "0"}),
        ("/v1/aggTrades", {**SYMBOL, "startTime": "0", "endTime": "99999999999999"}),
        ("/v1/klines", {**CHART, "startTime": "0", "endTime": "0"}),
        ("/v1/klines", {**SYMBOL, "interval": "1M", "startTime": "9223372036854775807", "timeZone": "-12"}),
        ("/v1/klines", {**SYMBOL, "interval": "1w", "endTime": "0", "timeZone": "14:00"}),
    ],
)
def test_unusual_request_is_answered_with_a_list(exchange: Exchange, path: str, form: dict[str, str]) -> None:
    answer = ask(exchange, path, form)
    assert answer.status == 200, answer
    assert isinstance(answer.json, list)


def test_time_unit_of_the_client_is_that_of_every_answer(exchange: Exchange) -> None:
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    alice.order("SELL", "0.001", "60000")
    bob.order("BUY", "0.001", "60000")
    unit = {"X-MBX-TIME-UNIT": "MICROSECOND"}
    for path, name in (("/v1/trades", "time"), ("/v1/historicalTrades", "time"), ("/v1/aggTrades", "T")):
        fine = alice.public(f"{path}?symbol=BTC_USDT&limit=1", "GET", **unit).json[-1][name]
        assert fine // 1000 == alice.public(f"{path}?symbol=BTC_USDT").json[-1][name]
    path = "/v1/klines?symbol=BTC_USDT&interval=1d&limit=1"
    (fine_candle,), (candle,) = alice.public(path, "GET", **unit).json, alice.public(path).json
    assert (fine_candle[0], fine_candle[6] + 1) == (candle[0] * 1000, (candle[6] + 1) * 1000)
    for path, form, names in (
        ("/v1/allOrders", SYMBOL, ("time", "updateTime", "workingTime")),
        ("/v1/myTrades", SYMBOL, ("time",)),
        ("/v1/ledger", {}, ("time",)),
    ):
        query = bob.signed_bytes("", urlencode({**form, "limit": 1})).decode()
        fine_row = bob.send("GET", f"{path}?{query}", b"", {"X-MBX-APIKEY": bob.api_key, **unit}).json[-1]
        row = bob.signed_form("GET", path, {**form, "limit": "1"}).json[-1]
        assert [fine_row[name] // 1000 for name in names] == [row[name] for name in names]
