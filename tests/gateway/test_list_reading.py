"""Order lists as they are read over real HTTP, on both faces: open ones, done ones, and legs that the engine forgot."""

from __future__ import annotations

import itertools
import os
import pathlib
import signal
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from exchange.core.codes import CommandFlag, CommandKind, Limit, ListRole, ListType, OrderType, Side, TimeInForce
from exchange.gateway import demo
from tests.core.plans import command
from tests.gateway.running import Answer, Exchange, Trader
from tests.gateway.test_history import done
from tests.gateway.test_history_refused import projector_of, wait_for_history
from tests.persistence.journaled import STEP_NS, JournaledVenue

Json = dict[str, Any]
REMEMBERED = 3
"""Closed orders that the engine of this module remembers."""
BTC_USDT, ETH_USDT = 1, 2
SYMBOLS = {"/v1": ("BTC_USDT", "ETH_USDT"), "/api/v3": ("BTCUSDT", "ETHUSDT")}
FACES = pytest.mark.parametrize("face", list(SYMBOLS))
ALICE, BOB = 16, 17
MISSING = (400, -2018, "Order list does not exist.")
PAIR, FOLLOWED, TRIPLE, FUNDED, OTHERS = 1, 2, 3, 4, 5
"""The lists: an OCO, an OTO, an OTOCO and an OPO of alice's, an OCO of bob's."""


class Leg(NamedTuple):
    """A leg to be placed."""

    name: str
    list_role: ListRole
    side: Side
    order_type: OrderType
    price_ticks: int
    stop_price_ticks: int = 0
    qty_lots: int = 10_000


ABOVE = Leg("above", ListRole.ABOVE, Side.SELL, OrderType.LIMIT_MAKER, 7_000_000)
BELOW = Leg("below", ListRole.BELOW, Side.SELL, OrderType.STOP_LOSS_LIMIT, 3_900_000, 4_000_000)
WORKING = Leg("working", ListRole.WORKING, Side.BUY, OrderType.LIMIT, 5_000_000)
CHEAP = WORKING._replace(price_ticks=4_000_000)
PENDING = Leg("pending", ListRole.PENDING, Side.SELL, OrderType.LIMIT, 8_000_000)


def placed(number: int, account: int, symbol: int, list_type: ListType, *legs: Leg) -> Iterator[Any]:
    """The commands of a list; its legs are called after its number."""
    whose = {"account": account, "symbol": symbol}
    linked = CommandFlag.LINKED
    yield command(CommandKind.PLACE_LIST, f"list-{number}", **whose, list_type=list_type, flags=linked)
    for leg in legs:
        fields = leg._asdict() | {"time_in_force": TimeInForce.GTC, **whose}
        flags = linked if leg is not legs[-1] else 0
        yield command(CommandKind.PLACE, f"{fields.pop('name')}-{number}", **fields, flags=flags)


def begun() -> Iterator[Any]:
    """A demo venue with five open lists, whose engine forgets soon."""
    yield from (np.frombuffer(one, np.uint8) for one in demo._commands(set(), set(), set()))
    yield command(CommandKind.SET_LIMIT, limit=Limit.CLOSED_ORDERS, value=REMEMBERED)
    yield from placed(PAIR, ALICE, BTC_USDT, ListType.OCO, ABOVE, BELOW)
    yield from placed(FOLLOWED, ALICE, BTC_USDT, ListType.OTO, WORKING, PENDING)
    yield from placed(TRIPLE, ALICE, ETH_USDT, ListType.OTOCO, WORKING, ABOVE, BELOW)
    yield from placed(FUNDED, ALICE, BTC_USDT, ListType.OPO, CHEAP, PENDING._replace(qty_lots=0))
    yield from placed(OTHERS, BOB, BTC_USDT, ListType.OCO, ABOVE, BELOW)


def begin(path: pathlib.Path) -> Exchange:
    """An exchange on a directory in which the lists were placed."""
    venue = JournaledVenue(path)
    venue.apply(np.stack(list(begun())))
    venue.close()
    return Exchange(path, environ={"EXCHANGE_HISTORY_TIMEOUT": "200ms"}).start()


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """An exchange with open lists, which tests only read."""
    yield from _served(tmp_path_factory.mktemp("standing-lists") / "var")


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """An exchange with open lists, each of which one test may end."""
    yield from _served(tmp_path_factory.mktemp("moving-lists") / "var")


def _served(path: pathlib.Path) -> Iterator[Exchange]:
    running = begin(path)
    wait_for_history(running.trader("alice"))
    yield running
    assert running.stop() == 0, running.errors


def forget(trader: Trader) -> None:
    """Close so many other orders that the engine remembers none of the older ones."""
    for _ in range(REMEMBERED):
        order_id = done(trader.order("BUY", "0.001", "10000"))["orderId"]
        done(trader.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=order_id))


def told(number: int, contingency: str, symbol: str, first_order_id: int, *legs: str) -> Json:
    """An open list, without its time."""
    return {
        "orderListId": number,
        "contingencyType": contingency,
        "listStatusType": "EXEC_STARTED",
        "listOrderStatus": "EXECUTING",
        "listClientOrderId": f"list-{number}",
        "symbol": symbol,
        "orders": [
            {"symbol": symbol, "orderId": order_id, "clientOrderId": f"{leg}-{number}"}
            for order_id, leg in enumerate(legs, first_order_id)
        ],
    }


def ids(rows: list[Json]) -> list[int]:
    return [row["orderListId"] for row in rows]


def assert_missing(answer: Answer) -> None:
    assert (answer.status, answer.json["code"], answer.json["msg"]) == MISSING


# ---- open lists ---------------------------------------------------------------------------------------------------


@FACES
def test_open_lists_are_the_accounts_own_with_all_their_legs(standing: Exchange, face: str) -> None:
    btc_usdt, eth_usdt = SYMBOLS[face]
    answer = standing.trader("alice").call("GET", f"{face}/openOrderList")
    rows = done(answer)
    times = [row.pop("transactionTime") for row in rows]
    assert rows == [
        told(PAIR, "OCO", btc_usdt, 1, "above", "below"),
        told(FOLLOWED, "OTO", btc_usdt, 3, "working", "pending"),
        told(TRIPLE, "OTO", eth_usdt, 5, "working", "above", "below"),
        told(FUNDED, "OTO", btc_usdt, 8, "working", "pending"),
    ]
    commands = [(after - before) * 1_000_000 / STEP_NS for before, after in itertools.pairwise(times)]
    assert commands == pytest.approx([3, 4, 3])  # the last leg is the one that begins a list
    assert int(answer.headers["x-exchange-sequence"]) > 0
    assert ids(done(standing.trader("bob").call("GET", f"{face}/openOrderList"))) == [OTHERS]


@FACES
def test_one_list_is_named_by_its_id_by_its_client_id_or_by_both(standing: Exchange, face: str) -> None:
    alice, path = standing.trader("alice"), f"{face}/orderList"
    for number, row in enumerate(done(alice.call("GET", f"{face}/openOrderList")), 1):
        name = {"origClientOrderId": f"list-{number}"}
        forms: tuple[Json, ...] = ({"orderListId": number}, name, name | {"orderListId": number})
        for form in forms:
            answer = alice.call("GET", path, **form)
            assert done(answer) == row
            assert list(answer.json) == list(row)
    for form in (
        {"orderListId": OTHERS},
        {"origClientOrderId": f"list-{OTHERS}"},
        {"orderListId": PAIR, "origClientOrderId": f"list-{FOLLOWED}"},
        {"origClientOrderId": "above-1"},
        {"orderListId": 10**15},
    ):
        assert_missing(alice.call("GET", path, **form))


def test_list_has_no_name_of_another_account(standing: Exchange) -> None:
    bob = standing.trader("bob")
    (row,) = done(bob.call("GET", "/v1/openOrderList"))
    assert row["orders"][0]["clientOrderId"] == f"above-{OTHERS}"
    assert_missing(bob.call("GET", "/v1/orderList", orderListId=PAIR))


@FACES
def test_pages_of_all_lists(standing: Exchange, face: str) -> None:
    alice, path = standing.trader("alice"), f"{face}/allOrderList"
    rows = done(alice.call("GET", path))
    assert rows == done(alice.call("GET", f"{face}/openOrderList"))
    times = {row["orderListId"]: row["transactionTime"] for row in rows}
    for form, expected in (
        ({"limit": 2}, [TRIPLE, FUNDED]),
        ({"fromId": FOLLOWED, "limit": 2}, [FOLLOWED, TRIPLE]),
        ({"fromId": OTHERS}, []),
        ({"startTime": times[FOLLOWED], "limit": 1}, [FOLLOWED]),
        ({"endTime": times[FOLLOWED]}, [PAIR, FOLLOWED]),
        ({"startTime": times[FOLLOWED], "endTime": times[TRIPLE]}, [FOLLOWED, TRIPLE]),
        ({"startTime": times[FUNDED] + 60_000}, []),
    ):
        assert ids(done(alice.call("GET", path, **form))) == expected, form


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("/orderList", {}, -1102),
        ("/orderList", {"orderListId": "0"}, -1108),
        ("/orderList", {"orderListId": "1", "symbol": "BTC_USDT"}, -1103),
        ("/orderList", {"origClientOrderId": ""}, -1119),
        ("/orderList", {"origClientOrderId": "not/legal"}, -1100),
        ("/openOrderList", {"symbol": "BTC_USDT"}, -1103),
        ("/allOrderList", {"fromId": "1", "startTime": "1"}, -1128),
        ("/allOrderList", {"fromId": "1", "endTime": "1"}, -1128),
        ("/allOrderList", {"startTime": "1", "endTime": str(2 + 86_400_000)}, -1127),
        ("/allOrderList", {"limit": "0"}, -1108),
        ("/allOrderList", {"orderListId": "1"}, -1103),
    ],
)
def test_bad_parameters_are_refused(standing: Exchange, path: str, params: dict[str, str], code: int) -> None:
    for face in SYMBOLS:
        answer = standing.trader("alice").call("GET", face + path, **params)
        assert (answer.status, answer.json["code"]) == (400, code)


# ---- lists that end -----------------------------------------------------------------------------------------------


def test_list_that_is_done_is_in_history_and_no_longer_open(exchange: Exchange) -> None:
    alice = exchange.trader("alice")
    before = {face: done(alice.call("GET", f"{face}/orderList", orderListId=PAIR)) for face in SYMBOLS}
    ended = done(alice.call("DELETE", "/v1/order", symbol="BTC_USDT", origClientOrderId="below-1"))
    assert (ended["orderListId"], ended["status"]) == (PAIR, "CANCELED")
    for face in SYMBOLS:
        path = f"{face}/orderList"
        expected = before[face] | dict.fromkeys(("listStatusType", "listOrderStatus"), "ALL_DONE")
        expected["transactionTime"] = ended["transactTime"]
        assert expected["transactionTime"] > before[face]["transactionTime"]
        forms: tuple[Json, ...] = ({"orderListId": PAIR}, {"origClientOrderId": "list-1"})
        for form in forms:
            answer = alice.call("GET", path, **form)
            assert done(answer) == expected
            assert list(answer.json) == list(before[face])
        assert PAIR not in ids(done(alice.call("GET", f"{face}/openOrderList")))
        assert done(alice.call("GET", f"{face}/allOrderList"))[0] == expected
        for form in ({"orderListId": PAIR, "origClientOrderId": "list-2"}, {"origClientOrderId": "never"}):
            assert_missing(alice.call("GET", path, **form))
        assert_missing(exchange.trader("bob").call("GET", path, orderListId=PAIR))


def test_of_several_lists_with_one_client_id_the_open_one_is_shown_or_the_newest(exchange: Exchange) -> None:
    bob = exchange.trader("bob")
    pair = {"aboveType": "LIMIT_MAKER", "abovePrice": "90000", "belowType": "STOP_LOSS", "belowStopPrice": "20000"}
    form = {"symbol": "BTC_USDT", "side": "SELL", "quantity": "0.01", **pair, "listClientOrderId": "again"}
    numbers = []
    for _ in range(3):
        placed = done(bob.call("POST", "/v1/orderList/oco", **form))
        numbers.append(placed["orderListId"])
        seen = done(bob.call("GET", "/v1/orderList", origClientOrderId="again"))
        assert (seen["orderListId"], seen["listStatusType"]) == (numbers[-1], "EXEC_STARTED")
        done(bob.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=placed["orders"][0]["orderId"]))
        seen = done(bob.call("GET", "/v1/orderList", origClientOrderId="again"))
        assert (seen["orderListId"], seen["listStatusType"]) == (numbers[-1], "ALL_DONE")
    first = done(bob.call("GET", "/v1/orderList", orderListId=numbers[0], origClientOrderId="again"))
    assert first["orderListId"] == numbers[0]


def test_leg_that_the_engine_has_forgotten_keeps_its_name_in_an_open_list(exchange: Exchange) -> None:
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    before = done(alice.call("GET", "/v1/openOrderList"))
    named = {row["orderListId"]: row for row in before}
    assert done(bob.order("SELL", "0.1", "50000"))["status"] == "FILLED"
    assert done(alice.call("GET", "/v1/openOrderList")) == before
    forget(bob)
    assert done(alice.call("GET", "/v1/openOrderList")) == before
    projector = projector_of(exchange)
    os.kill(projector, signal.SIGSTOP)
    try:
        done(bob.order("BUY", "0.001", "10000"))
        for path, form in (
            ("/v1/openOrderList", {}),
            ("/v1/orderList", {"orderListId": FOLLOWED}),
            ("/v1/orderList", {"origClientOrderId": "never"}),
            ("/v1/allOrderList", {}),
        ):
            answer = alice.call("GET", path, **form)
            assert (answer.status, answer.json["code"], answer.json["reason"]) == (503, -1001, "history_behind")
        assert done(alice.call("GET", "/v1/orderList", orderListId=FUNDED)) == named[FUNDED]
        assert_missing(alice.call("GET", "/v1/orderList", orderListId=10**15))
    finally:
        os.kill(projector, signal.SIGCONT)
    wait_for_history(alice)
    assert done(alice.call("GET", "/v1/orderList", orderListId=FOLLOWED)) == named[FOLLOWED]


def test_orders_and_trades_of_a_list_name_it(exchange: Exchange) -> None:
    alice, bob = exchange.trader("alice"), exchange.trader("bob")
    eth = {"symbol": "ETH_USDT"}
    for quantity in ("0.4", "0.6"):
        assert done(bob.order("SELL", quantity, "50000", **eth))["status"] == "FILLED"
    plain = done(alice.order("BUY", "0.1", "10000", **eth))["orderId"]
    expected = {5: TRIPLE, 6: TRIPLE, 7: TRIPLE, plain: -1}
    for face, (_, symbol) in SYMBOLS.items():
        for path, missing in (("allOrders", set()), ("openOrders", {5})):
            rows = done(alice.call("GET", f"{face}/{path}", symbol=symbol))
            found = {row["orderId"]: row["orderListId"] for row in rows}
            assert found == {order_id: number for order_id, number in expected.items() if order_id not in missing}
        for order_id, number in expected.items():
            order = done(alice.call("GET", f"{face}/order", symbol=symbol, orderId=order_id))
            assert order["orderListId"] == number
        for form in ({}, {"orderId": 5}, {"fromId": 1}):
            trades = done(alice.call("GET", f"{face}/myTrades", symbol=symbol, **form))
            assert [(row["orderId"], row["orderListId"], row["qty"]) for row in trades] == [
                (5, TRIPLE, "0.40000000"),
                (5, TRIPLE, "0.60000000"),
            ]
        assert {row["orderListId"] for row in done(bob.call("GET", f"{face}/myTrades", symbol=symbol))} == {-1}
