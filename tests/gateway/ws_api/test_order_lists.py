"""Order lists over the WebSocket API: placed, counted, told of, canceled, and refused as over REST."""

from __future__ import annotations

import asyncio
import time

import pytest

from exchange.gateway import order_lists, orders
from exchange.gateway.faces import BINANCE
from exchange.gateway.signing import Call
from tests.gateway.forms import MILLISECOND_NS
from tests.gateway.list_forms import FORMS, LEGS
from tests.gateway.ws_api.client import Client, Identity, Json
from tests.gateway.ws_api.stage import Stage


@pytest.mark.parametrize("kind", FORMS)
async def test_every_kind_is_placed_and_canceled(client: Client, alice: Identity, kind: str) -> None:
    before = await client.result("account.status", alice.signed())
    answer = await client.ask(f"orderList.place.{kind}", alice.signed(symbol="BTCUSDT", **FORMS[kind]))
    assert answer["status"] == 200, answer
    limit = next(one for one in answer["rateLimits"] if one["interval"] == "DAY")
    assert (limit["rateLimitType"], limit["count"]) == ("ORDERS", LEGS[kind])
    placed = answer["result"]
    assert len(placed["orders"]) == len(placed["orderReports"]) == LEGS[kind]
    assert placed["listOrderStatus"] == "EXECUTING"
    found = await client.result("order.status", alice.signed(symbol="BTCUSDT", orderId=placed["orders"][-1]["orderId"]))
    assert (found["orderListId"], found["isWorking"]) == (placed["orderListId"], False)
    done = await client.result(
        "orderList.cancel",
        alice.signed(symbol="BTCUSDT", listClientOrderId=placed["listClientOrderId"], newClientOrderId="bye"),
    )
    assert (done["listOrderStatus"], done["orders"]) == ("ALL_DONE", placed["orders"])
    assert [(one["status"], one["clientOrderId"]) for one in done["orderReports"]] == [("CANCELED", "bye")] * LEGS[kind]
    after = await client.result("account.status", alice.signed())
    assert after["balances"] == before["balances"]


async def test_reports_of_a_cancel_have_its_name_and_the_list_is_told_of(client: Client, alice: Identity) -> None:
    await client.result("userDataStream.subscribe.signature", alice.signed())
    placed = await client.result("orderList.place.oto", alice.signed(symbol="BTCUSDT", **FORMS["oto"]))
    form = {"symbol": "BTCUSDT", "orderListId": placed["orderListId"], "newClientOrderId": "bye"}
    done = await client.result("orderList.cancel", alice.signed(**form))
    await client.heard(lambda message: message["event"].get("l") == "ALL_DONE")
    told = [message["event"] for message in client.events]
    reports = [one for one in told if one["e"] == "executionReport"]
    ids = [leg["orderId"] for leg in placed["orders"]]
    assert [(one["x"], one["X"], one["i"]) for one in reports] == [
        ("NEW", "NEW", ids[0]),
        ("NEW", "PENDING_NEW", ids[1]),
        ("CANCELED", "CANCELED", ids[0]),
        ("CANCELED", "CANCELED", ids[1]),
    ]
    assert {one["g"] for one in reports} == {placed["orderListId"]}
    assert [one["c"] for one in reports[2:]] == [one["clientOrderId"] for one in done["orderReports"]] == ["bye", "bye"]
    assert [one["l"] for one in told if one["e"] == "listStatus"] == ["EXEC_STARTED", "ALL_DONE"]


@pytest.mark.parametrize(
    ("kind", "changed", "refusal"),
    [
        ("oco", {"aboveType": "LIMIT"}, (400, -1158)),
        ("oco", {"abovePrice": 80000.001}, (400, -1013)),
        ("oco", {"abovePrice": "14000"}, (400, -2010)),
        ("oco", {"quantity": None}, (400, -1102)),
        ("oto", {"workingSide": "buy"}, (400, -1117)),
        ("oto", {"nonsense": "1"}, (400, -1103)),
        ("opo", {"workingSide": "SELL"}, (400, -1222)),
        ("otoco", {"pendingBelowType": "LIMIT_MAKER"}, (400, -1168)),
        ("opoco", {"pendingBelowStopPrice": ""}, (400, -1105)),
    ],
)
async def test_list_is_refused_as_over_rest(
    stage: Stage, client: Client, alice: Identity, kind: str, changed: Json, refusal: tuple[int, int]
) -> None:
    form = {"symbol": "BTCUSDT", **FORMS[kind], **changed}
    params = {name: value for name, value in form.items() if value is not None}
    status, code, text = await client.refused(f"orderList.place.{kind}", alice.signed(**params))
    assert (status, code) == refusal
    over_rest = await stage.rest(alice, "POST", f"/api/v3/orderList/{kind}", params)
    assert (status, {"code": code, "msg": text, "outcome": "rejected"}) == over_rest


async def test_list_that_is_not_there_can_not_be_canceled(client: Client, alice: Identity) -> None:
    refused = await client.refused("orderList.cancel", alice.signed(symbol="BTCUSDT", orderListId=77))
    assert refused == (400, -2011, "Unknown order list sent.")


@pytest.mark.parametrize(("filled", "left"), [("0.01", 1), ("0.004", 2)])
async def test_cancel_that_meets_a_fill_ends_what_is_left(
    stage: Stage, client: Client, alice: Identity, filled: str, left: int
) -> None:
    placed = await client.result("orderList.place.oto", alice.signed(symbol="BTCUSDT", **FORMS["oto"]))
    venue = stage.gateway.venue
    key = venue.keys.find(alice.api_key)
    assert key is not None

    def call(**params: str) -> Call:
        form = {"symbol": "BTCUSDT", **params}
        return Call(venue.faces[BINANCE], key, form, time.time_ns() // 1_000, 60_000_000, MILLISECOND_NS)

    sale = {"side": "SELL", "type": "LIMIT", "timeInForce": "IOC", "quantity": filled, "price": "20000"}
    # The cancel reads the list before the fill is applied, and comes to the engine after it.
    sold, canceled = await asyncio.gather(
        orders.place(venue, call(**sale, selfTradePreventionMode="NONE")),
        order_lists.cancel(venue, call(orderListId=str(placed["orderListId"]))),
    )
    assert sold.body["status"] == "FILLED"
    assert canceled.body["listOrderStatus"] == "ALL_DONE"
    assert canceled.body["orders"] == placed["orders"]
    reports = canceled.body["orderReports"]
    assert [one["orderId"] for one in reports] == [leg["orderId"] for leg in placed["orders"]][-left:]
    assert {one["status"] for one in reports} == {"CANCELED"}
