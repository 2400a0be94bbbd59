"""What became of orders, over real HTTP and on both faces; orders that the engine has forgotten; commissions."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from exchange.core.codes import CommandKind, Limit
from exchange.persistence.database import Target
from exchange.settings import load
from tests.core.plans import command
from tests.gateway.running import Answer, Exchange, Trader
from tests.gateway.test_history import done
from tests.gateway.test_history_refused import projector_of, wait_for_history
from tests.persistence.journaled import JournaledVenue

Json = dict[str, Any]
REMEMBERED = 3
"""Closed orders that the engine of this module remembers."""
SYMBOLS = {"/v1": "BTC_USDT", "/api/v3": "BTCUSDT"}
FACES = pytest.mark.parametrize("face", list(SYMBOLS))
AMEND = "/v1/order/amend/keepPriority"


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A demo exchange that forgets soon."""
    path = tmp_path_factory.mktemp("orders") / "var"
    venue = JournaledVenue(path)
    venue.apply(np.stack([command(CommandKind.SET_LIMIT, limit=Limit.CLOSED_ORDERS, value=REMEMBERED)]))
    venue.close()
    running = Exchange(path, environ={"EXCHANGE_HISTORY_TIMEOUT": "200ms"}).start()
    wait_for_history(running.trader("alice"))
    yield running
    assert running.stop() == 0, running.errors


def ask(trader: Trader, face: str, path: str, **params: object) -> Answer:
    """A GET about BTC and USDT, as this face spells them."""
    return trader.call("GET", face + path, symbol=SYMBOLS[face], **params)


def forget(trader: Trader) -> None:
    """Close so many other orders that the engine remembers none of the older ones."""
    for _ in range(REMEMBERED):
        order_id = done(trader.order("BUY", "0.001", "10000"))["orderId"]
        done(trader.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=order_id))


# ---- amendments ---------------------------------------------------------------------------------------------------


@FACES
def test_amendments_of_an_order_are_there_as_soon_as_they_are_answered(exchange: Exchange, face: str) -> None:
    alice = exchange.trader("alice")
    placed = done(alice.order("SELL", "0.5", "70000"))
    order_id, client_id = placed["orderId"], placed["clientOrderId"]
    assert done(ask(alice, face, "/order/amendments", orderId=order_id)) == []
    expected = []
    for before, after in (("0.50000000", "0.30000000"), ("0.30000000", "0.20000000"), ("0.20000000", "0.10000000")):
        answer = done(alice.call("PUT", AMEND, symbol="BTC_USDT", orderId=order_id, newQty=after))
        expected.append(
            {
                "symbol": SYMBOLS[face],
                "orderId": order_id,
                "executionId": answer["executionId"],
                "origClientOrderId": client_id,
                "newClientOrderId": client_id,
                "origQty": before,
                "newQty": after,
                "time": answer["transactTime"],
            }
        )
        assert done(ask(alice, face, "/order/amendments", orderId=order_id)) == expected
    second = expected[1]["executionId"]
    assert done(ask(alice, face, "/order/amendments", orderId=order_id, limit=2)) == expected[:2]
    assert done(ask(alice, face, "/order/amendments", orderId=order_id, fromExecutionId=second)) == expected[1:]
    assert done(ask(alice, face, "/order/amendments", orderId=order_id, fromExecutionId=second + 1)) == expected[2:]
    assert done(ask(exchange.trader("bob"), face, "/order/amendments", orderId=order_id)) == []
    done(alice.call("DELETE", "/v1/openOrders", symbol="BTC_USDT"))
    assert done(ask(alice, face, "/order/amendments", orderId=order_id)) == expected


def test_amendment_after_fills_and_prevention_has_the_quantity_as_it_was(exchange: Exchange) -> None:
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    order_id = done(alice.order("SELL", "0.5", "70000"))["orderId"]
    done(bob.order("BUY", "0.1", "70000"))
    done(alice.order("BUY", "0.05", "70000", selfTradePreventionMode="DECREMENT"))
    done(alice.call("PUT", AMEND, symbol="BTC_USDT", orderId=order_id, newQty="0.2"))
    done(alice.order("BUY", "0.05", "70000", selfTradePreventionMode="DECREMENT"))
    (row,) = done(ask(alice, "/v1", "/order/amendments", orderId=order_id))
    assert (row["origQty"], row["newQty"]) == ("0.45000000", "0.20000000")
    assert done(ask(alice, "/v1", "/order", orderId=order_id))["origQty"] == "0.15000000"
    done(alice.call("DELETE", "/v1/openOrders", symbol="BTC_USDT"))


# ---- prevented matches --------------------------------------------------------------------------------------------


@FACES
def test_prevented_matches_of_either_order_and_by_id(exchange: Exchange, face: str) -> None:
    alice = exchange.trader("alice")
    maker = done(alice.order("SELL", "0.5", "70000"))["orderId"]
    takers = []
    expected = []
    for mode, off_taker, off_maker in (
        ("DECREMENT", "0.10000000", "0.10000000"),
        ("EXPIRE_TAKER", "0.10000000", "0.00000000"),
        ("EXPIRE_BOTH", "0.10000000", "0.40000000"),
    ):
        taken = done(alice.order("BUY", "0.1", "70001", selfTradePreventionMode=mode))
        takers.append(taken["orderId"])
        expected.append(
            {
                "symbol": SYMBOLS[face],
                "takerOrderId": taken["orderId"],
                "makerSymbol": SYMBOLS[face],
                "makerOrderId": maker,
                "tradeGroupId": 16,
                "selfTradePreventionMode": mode,
                "price": "70000.00000000",
                "takerPreventedQuantity": off_taker,
                "makerPreventedQuantity": off_maker,
                "transactTime": taken["transactTime"],
            }
        )
    rows = done(ask(alice, face, "/myPreventedMatches", orderId=maker))
    ids = [row["preventedMatchId"] for row in rows]
    assert [{**row, "preventedMatchId": None} for row in rows] == [{**e, "preventedMatchId": None} for e in expected]
    assert ids == sorted(set(ids))
    for number, taker in enumerate(takers):
        assert done(ask(alice, face, "/myPreventedMatches", orderId=taker)) == [rows[number]]
        assert done(ask(alice, face, "/myPreventedMatches", preventedMatchId=ids[number])) == [rows[number]]
    later = done(ask(alice, face, "/myPreventedMatches", orderId=maker, fromPreventedMatchId=ids[1], limit=1))
    assert later == [rows[1]]
    bob = exchange.trader("bob")
    assert done(ask(bob, face, "/myPreventedMatches", orderId=maker)) == []
    assert done(ask(bob, face, "/myPreventedMatches", preventedMatchId=ids[0])) == []
    assert done(alice.call("GET", "/v1/myPreventedMatches", symbol="ETH_USDT", preventedMatchId=ids[0])) == []


def test_nothing_is_allocated(exchange: Exchange) -> None:
    for face in SYMBOLS:
        assert done(ask(exchange.trader("alice"), face, "/myAllocations")) == []


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("/order/amendments", {}, -1102),
        ("/order/amendments", {"orderId": "0"}, -1108),
        ("/order/amendments", {"orderId": "1", "fromExecutionId": "x"}, -1100),
        ("/order/amendments", {"orderId": "1", "limit": "0"}, -1108),
        ("/order/amendments", {"orderId": "1", "fromId": "1"}, -1103),
        ("/myPreventedMatches", {}, -1128),
        ("/myPreventedMatches", {"preventedMatchId": "1", "orderId": "1"}, -1128),
        ("/myPreventedMatches", {"preventedMatchId": "1", "fromPreventedMatchId": "1"}, -1128),
        ("/myPreventedMatches", {"fromPreventedMatchId": "1"}, -1128),
        ("/myPreventedMatches", {"preventedMatchId": "0"}, -1108),
        ("/account/commission", {"asset": "BTC"}, -1103),
    ],
)
def test_bad_parameters_are_refused(exchange: Exchange, path: str, params: dict[str, str], code: int) -> None:
    for face in SYMBOLS:
        answer = ask(exchange.trader("alice"), face, path, **params)
        assert (answer.status, answer.json["code"]) == (400, code)


@pytest.mark.parametrize("path", ["/order/amendments", "/myPreventedMatches", "/account/commission", "/myAllocations"])
def test_symbol_must_be_there_and_known(exchange: Exchange, path: str) -> None:
    alice = exchange.trader("alice")
    assert alice.call("GET", f"/v1{path}").json["code"] == -1102
    assert alice.call("GET", f"/v1{path}", symbol="BTCUSDT").json["code"] == -1121
    assert alice.call("GET", f"/api/v3{path}", symbol="BTC_USDT").json["code"] == -1121


# ---- orders that the engine has forgotten -------------------------------------------------------------------------


@FACES
def test_order_that_the_engine_has_forgotten_is_in_history(exchange: Exchange, face: str) -> None:
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    name = f"old{face[1]}"
    order_id = done(alice.order("SELL", "0.01", "30000", newClientOrderId=name))["orderId"]
    done(bob.order("BUY", "0.004", "30000"))
    done(alice.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=order_id))
    remembered = done(ask(alice, face, "/order", orderId=order_id))
    forget(alice)
    for names in (
        {"orderId": order_id},
        {"origClientOrderId": name},
        {"orderId": order_id, "origClientOrderId": name},
    ):
        answer = ask(alice, face, "/order", **names)
        assert done(answer) == remembered
        assert list(answer.json) == list(remembered)
        assert int(answer.headers["x-exchange-sequence"]) > 0
    missing = (400, -2013, "Order does not exist.")
    for trader, names in (
        (bob, {"orderId": order_id}),
        (bob, {"origClientOrderId": name}),
        (alice, {"orderId": order_id, "origClientOrderId": "other"}),
        (alice, {"origClientOrderId": "other"}),
        (alice, {"orderId": 10**15}),
    ):
        answer = ask(trader, face, "/order", **names)
        assert (answer.status, answer.json["code"], answer.json["msg"]) == missing
    other = alice.call("GET", "/v1/order", symbol="ETH_USDT", orderId=order_id)
    assert (other.status, other.json["code"], other.json["msg"]) == missing


def test_of_several_forgotten_orders_with_one_client_id_the_newest_is_shown(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    ids = []
    for _ in range(2):
        ids.append(done(alice.order("BUY", "0.001", "10000", newClientOrderId="again"))["orderId"])
        done(alice.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=ids[-1]))
        forget(alice)
    assert done(ask(alice, "/v1", "/order", origClientOrderId="again"))["orderId"] == ids[1]
    assert done(ask(alice, "/v1", "/order", orderId=ids[0], origClientOrderId="again"))["orderId"] == ids[0]


def test_forgotten_order_is_not_said_to_be_missing_while_history_is_behind(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    order_id = done(alice.order("BUY", "0.001", "10000"))["orderId"]
    projector = projector_of(exchange)
    os.kill(projector, signal.SIGSTOP)
    try:
        done(alice.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=order_id))
        forget(alice)
        for names in ({"orderId": order_id}, {"origClientOrderId": "never"}):
            answer = ask(alice, "/v1", "/order", **names)
            assert (answer.status, answer.json["code"], answer.json["reason"]) == (503, -1001, "history_behind")
        assert ask(alice, "/v1", "/order", orderId=10**15).json["code"] == -2013
        opened = done(alice.order("BUY", "0.001", "10000"))["orderId"]
        assert done(ask(alice, "/v1", "/order", orderId=opened))["status"] == "NEW"
    finally:
        os.kill(projector, signal.SIGCONT)
    wait_for_history(alice)
    assert done(ask(alice, "/v1", "/order", orderId=order_id))["status"] == "CANCELED"


async def test_while_older_amendments_are_read_from_the_journal_the_lists_are_refused(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    settings = load({}, demo=True, data_dir=exchange.data_dir)
    connection = await Target.of(settings, exchange.data_dir / "postgres").connect("tests")
    note = "update exchange_order.projection set details_filled = $1"
    await connection.execute(note, False)
    try:
        for path in ("/order/amendments", "/myPreventedMatches"):
            answer = ask(alice, "/v1", path, orderId=1)
            assert (answer.status, answer.json["code"], answer.json["reason"]) == (503, -1001, "history_behind")
        done(alice.call("GET", "/v1/allOrders", symbol="BTC_USDT"))
    finally:
        await connection.execute(note, True)
        await connection.close()
    done(ask(alice, "/v1", "/order/amendments", orderId=1))


# ---- commissions --------------------------------------------------------------------------------------------------


@FACES
def test_commission_of_a_symbol_is_what_the_account_pays(exchange: Exchange, face: str) -> None:
    answer = ask(exchange.trader("alice"), face, "/account/commission")
    zero = dict.fromkeys(("maker", "taker", "buyer", "seller"), "0.00000000")
    assert done(answer) == {
        "symbol": SYMBOLS[face],
        "standardCommission": {**zero, "maker": "0.00100000", "taker": "0.00100000"},
        "specialCommission": zero,
        "taxCommission": zero,
        "discount": {
            "enabledForAccount": False,
            "enabledForSymbol": False,
            "discountAsset": "",
            "discount": "0.00000000",
        },
    }
    assert int(answer.headers["x-exchange-sequence"]) > 0
