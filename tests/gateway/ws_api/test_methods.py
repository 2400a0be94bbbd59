"""Every method that is an endpoint answers what REST answers, with its parameters as they come, and its refusals."""

from __future__ import annotations

import pathlib
import re
import time
from typing import Any

import pytest

from exchange.gateway.routes import ROUTES, Access
from exchange.gateway.ws_api.methods import ENDPOINTS, routed
from tests.gateway.list_forms import FORMS
from tests.gateway.ws_api.client import Client, Identity, Json
from tests.gateway.ws_api.stage import Stage

ORDER: Json = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.01000000",
    "price": "50000.00",
}
SYMBOL = {"symbol": "BTCUSDT"}
READING: dict[str, Json] = {
    "ping": {},
    "exchangeInfo": {"symbols": ["BTCUSDT", "ETHUSDT"]},
    "executionRules": SYMBOL,
    "referencePrice": {"symbol": "ETHUSDT"},
    "depth": {"symbol": "BTCUSDT", "limit": 5},
    "trades.recent": SYMBOL,
    "trades.historical": {**SYMBOL, "fromId": 1},
    "trades.aggregate": {**SYMBOL, "limit": 10},
    "klines": {**SYMBOL, "interval": "1m"},
    "uiKlines": {**SYMBOL, "interval": "1h"},
    "avgPrice": SYMBOL,
    "ticker.24hr": {"symbols": ["BTCUSDT"], "type": "MINI"},
    "ticker": {**SYMBOL, "windowSize": "1h"},
    "ticker.price": {},
    "ticker.book": {"symbols": ["BTCUSDT"]},
    "order.test": ORDER,
    "order.status": {**SYMBOL, "orderId": 1},
    "order.amendments": {**SYMBOL, "orderId": 1},
    "openOrders.status": {},
    "allOrders": {**SYMBOL, "limit": "5"},
    "account.status": {"omitZeroBalances": True},
    "account.commission": SYMBOL,
    "account.rateLimits.orders": {},
    "myTrades": SYMBOL,
    "myFilters": SYMBOL,
    "myPreventedMatches": {**SYMBOL, "orderId": 1},
}
CHANGING = {
    "order.place",
    "order.cancel",
    "order.cancelReplace",
    "order.amend.keepPriority",
    *(f"orderList.place.{kind}" for kind in FORMS),
    "orderList.cancel",
    "openOrders.cancelAll",
    "countdownCancelAll",
    "userDataStream.start",
    "userDataStream.ping",
    "userDataStream.stop",
}
TIMES = {"time", "serverTime", "closeTime", "openTime", "updateTime"}


def timeless(body: Any) -> Any:
    """A body without what depends on when it was asked."""
    if isinstance(body, dict):
        return {name: timeless(value) for name, value in body.items() if name not in TIMES}
    return [timeless(one) for one in body] if isinstance(body, list) else body


def test_every_endpoint_in_the_table_exists_and_is_tested() -> None:
    assert routed(ROUTES).keys() == ENDPOINTS.keys()
    assert READING.keys() | CHANGING | {"time"} == ENDPOINTS.keys()


async def test_page_shows_every_method_and_no_other(stage: Stage) -> None:
    page = pathlib.Path(__file__).parents[3].joinpath("docs", "ws-api.md").read_text(encoding="utf-8")
    tables = page[page.index("## 3.") : page.index("## 8.")]
    assert set(re.findall(r"^\| `([a-z][a-zA-Z0-9.]+)` \|", tables, re.MULTILINE)) == stage.ws_api.methods.keys()


@pytest.mark.parametrize("method", READING)
async def test_method_answers_what_its_endpoint_answers(
    stage: Stage, client: Client, alice: Identity, method: str
) -> None:
    await client.result("order.place", alice.signed(**ORDER))
    route, params = routed(ROUTES)[method], READING[method]
    is_signed = route.access is Access.SIGNED
    status, body = await stage.rest(alice if is_signed else None, route.method, route.path, params)
    answer = await client.ask(method, alice.signed(**params) if is_signed else params)
    assert answer["status"] == status
    if status == 503:  # PostgreSQL is not there: when to come back is in `data` here and in a header there
        answer["error"].pop("data", None)
    assert timeless(answer.get("result", answer.get("error"))) == timeless(body)


async def test_public_method_may_name_a_key(client: Client, alice: Identity) -> None:
    assert await client.result("ping", {"apiKey": alice.api_key}) == {}


async def test_time_is_in_the_unit_of_the_connection(stage: Stage, client: Client) -> None:
    milliseconds = (await client.result("time"))["serverTime"]
    assert abs(milliseconds - time.time() * 1e3) < 60_000
    for query in ("?timeUnit=MICROSECOND", "?timeUnit=microsecond"):
        async with stage.connect(query) as other:
            assert (await other.result("time"))["serverTime"] > 900 * milliseconds


async def test_order_lives_its_life(client: Client, alice: Identity) -> None:
    placed = await client.result("order.place", alice.signed(**ORDER, newClientOrderId="mine"))
    assert (placed["status"], placed["clientOrderId"], placed["fills"]) == ("NEW", "mine", [])
    order_id = placed["orderId"]
    found = await client.result("order.status", alice.signed(symbol="BTCUSDT", orderId=order_id))
    assert found["origQty"] == "0.01000000"
    amended = await client.result(
        "order.amend.keepPriority", alice.signed(symbol="BTCUSDT", orderId=str(order_id), newQty=0.005)
    )
    assert amended["amendedOrder"]["qty"] == "0.00500000"
    replaced = await client.result(
        "order.cancelReplace",
        alice.signed(**ORDER | {"price": "49000"}, cancelReplaceMode="STOP_ON_FAILURE", cancelOrigClientOrderId="mine"),
    )
    assert (replaced["cancelResult"], replaced["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    canceled = await client.result(
        "order.cancel",
        alice.signed(symbol="BTCUSDT", orderId=replaced["newOrderResponse"]["orderId"], newClientOrderId="bye"),
    )
    assert (canceled["status"], canceled["clientOrderId"]) == ("CANCELED", "bye")
    for _ in range(3):
        await client.result("order.place", alice.signed(**ORDER))
    assert len(await client.result("openOrders.cancelAll", alice.signed(symbol="BTCUSDT"))) == 3
    assert await client.result("openOrders.status", alice.signed()) == []


@pytest.mark.parametrize(("mode", "status", "code"), [("STOP_ON_FAILURE", 400, -2022), ("ALLOW_FAILURE", 409, -2021)])
async def test_replacement_that_fails_says_what_happened_in_data(
    client: Client, alice: Identity, mode: str, status: int, code: int
) -> None:
    params = alice.signed(**ORDER, cancelReplaceMode=mode, cancelOrderId=77)
    answer = await client.ask("order.cancelReplace", params)
    assert (answer["status"], answer["error"]["code"]) == (status, code)
    data = answer["error"]["data"]
    assert data["cancelResult"] == "FAILURE"
    assert data["cancelResponse"]["code"] == -2011
    assert data["newOrderResult"] == ("NOT_ATTEMPTED" if status == 400 else "SUCCESS")


@pytest.mark.parametrize(
    ("method", "changed", "refusal"),
    [
        ("order.place", {"quantity": 1e-05}, (400, -1100)),
        ("order.place", {"quantity": "0.000000001"}, (400, -1111)),
        ("order.place", {"price": 50000.001}, (400, -1013)),
        ("order.place", {"quantity": None}, (400, -1102)),
        ("order.place", {"side": "buy"}, (400, -1117)),
        ("order.place", {"symbol": "BTC_USDT"}, (400, -1121)),
        ("order.place", {"symbol": ["BTCUSDT"]}, (400, -1121)),
        ("order.place", {"newClientOrderId": ""}, (400, -1118)),
        ("order.place", {"nonsense": "1"}, (400, -1103)),
        ("order.place", {"type": "STOP_LOSS"}, (400, -1106)),
        ("order.place", {"type": "STOP_LOSS_LIMIT", "stopPrice": "90000.001"}, (400, -1013)),
        ("order.place", {"icebergQty": "0.02"}, (400, -2010)),
        ("order.place", {"price": None, "pegPriceType": "MID"}, (400, -1210)),
        ("order.place", {"side": "SELL", "quantity": "101"}, (400, -2010)),
    ],
)
async def test_order_is_refused_as_over_rest(
    stage: Stage, client: Client, alice: Identity, method: str, changed: Json, refusal: tuple[int, int]
) -> None:
    params = {name: value for name, value in (ORDER | changed).items() if value is not None}
    status, code, text = await client.refused(method, alice.signed(**params))
    assert (status, code) == refusal
    over_rest = await stage.rest(alice, "POST", "/api/v3/order", params)
    assert (status, {"code": code, "msg": text, "outcome": "rejected"}) == over_rest


@pytest.mark.parametrize("method", ["", "Ping", "order.list.place", "ticker.tradingDay", "x" * 10_000])
async def test_unknown_method_is_refused(client: Client, method: str) -> None:
    assert await client.refused(method) == (400, -1020, "Unknown method.")


@pytest.mark.parametrize("named", [7, "7", "e2a85d9f-07a5-4f94-8d5f-789dc3deb097", None, -(2**63)])
async def test_id_comes_back_as_it_was_sent(client: Client, named: Any) -> None:
    assert (await client.ask("ping", id=named))["id"] == named


async def test_rate_limits_count_what_was_used(client: Client, alice: Identity) -> None:
    first, second = [(await client.ask("ping"))["rateLimits"] for _ in range(2)]
    assert first[0] | {"count": 0} == {
        "rateLimitType": "REQUEST_WEIGHT",
        "interval": "MINUTE",
        "intervalNum": 1,
        "limit": 6000,
        "count": 0,
    }
    assert second[0]["count"] == first[0]["count"] + 1
    placed = (await client.ask("order.place", alice.signed(**ORDER)))["rateLimits"]
    assert [(one["rateLimitType"], one["interval"], one["count"]) for one in placed[:2]] == [
        ("ORDERS", "SECOND", 1),
        ("ORDERS", "DAY", 1),
    ]
    assert placed[2]["rateLimitType"] == "REQUEST_WEIGHT"


async def test_rate_limits_are_shown_or_not(stage: Stage, client: Client, alice: Identity) -> None:
    for value in (False, "false"):
        params = alice.signed(symbol="BTCUSDT", orderId=1, returnRateLimits=value)
        assert "rateLimits" not in await client.ask("order.status", params)
    assert "rateLimits" in await client.ask("ping", {"returnRateLimits": True})
    assert "rateLimits" not in await client.ask("nope", {"returnRateLimits": False})
    assert await client.refused("ping", {"returnRateLimits": "no"}) == (
        400,
        -1130,
        "Data sent for parameter 'returnRateLimits' is not valid.",
    )
    async with stage.connect("?returnRateLimits=false") as other:
        assert "rateLimits" not in await other.ask("ping")
        assert "rateLimits" not in await other.raw("{")
        assert "rateLimits" in await other.ask("ping", {"returnRateLimits": True})


async def test_orders_reach_the_ring_in_the_order_in_which_they_came(client: Client, alice: Identity) -> None:
    sent = [await client.send("order.place", alice.signed(**ORDER | {"quantity": "0.001"})) for _ in range(200)]
    order_ids = [(await client.answer(named))["result"]["orderId"] for named in sent]
    assert order_ids == sorted(order_ids)
    assert order_ids[-1] - order_ids[0] == 199


async def test_answers_do_not_wait_for_each_other(client: Client, alice: Identity) -> None:
    placing = [await client.send("order.place", alice.signed(**ORDER | {"quantity": "0.001"})) for _ in range(20)]
    asking = [await client.send("ping") for _ in range(20)]
    for named in (*asking, *placing):
        assert (await client.answer(named))["status"] == 200
