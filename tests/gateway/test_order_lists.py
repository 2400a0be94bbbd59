"""Order lists over REST: each kind placed, seen to do what it is for, and canceled."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.gateway.list_forms import FORMS, LEGS, mark, placed, refusal, send, statuses
from tests.gateway.running import Exchange, Trader

Pair = tuple[Trader, Trader]
FACES = [("/v1", "BTC_USDT"), ("/api/v3", "BTCUSDT")]
HEAD = [
    *("orderListId", "contingencyType", "listStatusType", "listOrderStatus", "listClientOrderId", "transactionTime"),
    *("symbol", "orders", "orderReports"),
]
ACK = ["symbol", "orderId", "orderListId", "clientOrderId", "transactTime"]


@pytest.fixture(scope="module")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A demo exchange of this module, on which the first thing that happens is a trade at 50000."""
    running = Exchange(tmp_path_factory.mktemp("lists") / "var").start()
    mark((running.trader("alice"), running.trader("bob")), "50000")
    yield running
    assert running.stop() == 0, running.errors


def totals(trader: Trader) -> tuple[Decimal, Decimal]:
    """All BTC and all USDT of a trader."""
    sums = {name: Decimal(free) + Decimal(locked) for name, (free, locked) in trader.balances().items()}
    return sums["BTC"], sums["USDT"]


@pytest.mark.parametrize(("face", "symbol"), FACES)
@pytest.mark.parametrize("kind", FORMS)
def test_every_kind_is_placed_and_canceled(traders: Pair, face: str, symbol: str, kind: str) -> None:
    alice, _ = traders
    before = alice.balances()
    answer = alice.call("POST", f"{face}/orderList/{kind}", symbol=symbol, **FORMS[kind], listClientOrderId="a-list")
    assert answer.status == 200, answer.json
    body = answer.json
    assert list(body) == HEAD
    assert (body["contingencyType"], body["listClientOrderId"]) == ("OCO" if kind == "oco" else "OTO", "a-list")
    assert (body["listStatusType"], body["listOrderStatus"]) == ("EXEC_STARTED", "EXECUTING")
    assert int(answer.headers["x-exchange-sequence"]) > 0
    assert answer.headers["x-mbx-order-count-1d"].isdigit()
    reports = body["orderReports"]
    assert len(reports) == LEGS[kind]
    assert [
        {"symbol": symbol, "orderId": one["orderId"], "clientOrderId": one["clientOrderId"]} for one in reports
    ] == body["orders"]
    assert {one["orderListId"] for one in reports} == {body["orderListId"]}
    assert {one["transactTime"] for one in reports} == {body["transactionTime"]}
    waiting = "NEW" if kind == "oco" else "PENDING_NEW"
    assert [one["status"] for one in reports] == ["NEW"] + [waiting] * (LEGS[kind] - 1)
    assert [one["workingTime"] for one in reports[1:]] == [-1] * (LEGS[kind] - 1)
    found = alice.call("GET", f"{face}/order", symbol=symbol, orderId=reports[-1]["orderId"]).json
    assert (found["orderListId"], found["status"], found["isWorking"]) == (body["orderListId"], waiting, False)

    done = alice.call("DELETE", f"{face}/orderList", symbol=symbol, orderListId=body["orderListId"]).json
    assert list(done) == HEAD
    assert (done["orderListId"], done["listClientOrderId"]) == (body["orderListId"], "a-list")
    assert (done["listStatusType"], done["listOrderStatus"]) == ("ALL_DONE", "ALL_DONE")
    assert done["orders"] == body["orders"]
    assert [one["status"] for one in done["orderReports"]] == ["CANCELED"] * LEGS[kind]
    assert [one["orderId"] for one in done["orderReports"]] == [one["orderId"] for one in reports]
    assert {one["orderListId"] for one in done["orderReports"]} == {body["orderListId"]}
    assert alice.balances() == before


@pytest.mark.parametrize(("answer", "fields"), [("ACK", 5), ("RESULT", 16), ("FULL", 17), (None, 16)])
def test_response_type_decides_what_is_told_of_each_leg(traders: Pair, answer: str | None, fields: int) -> None:
    reports = placed(traders[0], "oto", newOrderRespType=answer)["orderReports"]
    assert [len(one) for one in reports] == [fields, fields]
    assert list(reports[0])[:5] == ACK
    assert ("fills" in reports[0]) is (answer == "FULL")


def test_a_fill_of_one_leg_of_a_pair_ends_the_other(traders: Pair) -> None:
    alice, bob = traders
    before = totals(alice)
    pair = placed(alice, "oco", abovePrice="51000")
    assert alice.balances()["BTC"][1] == "0.01000000"
    assert bob.order("BUY", "0.004", "51000").json["status"] == "FILLED"
    assert statuses(alice, pair) == ["PARTIALLY_FILLED", "EXPIRED"]
    assert bob.order("BUY", "0.006", "51000").json["status"] == "FILLED"
    assert statuses(alice, pair) == ["FILLED", "EXPIRED"]
    btc, usdt = totals(alice)
    assert (before[0] - btc, usdt - before[1]) == (Decimal("0.01"), Decimal("509.49"))  # 510 less 0.1 %
    assert alice.balances()["BTC"][1] == "0.00000000"
    gone = alice.call("DELETE", "/v1/orderList", symbol="BTC_USDT", orderListId=pair["orderListId"])
    assert refusal(gone) == (400, -2011, "Unknown order list sent.")
    mark(traders, "50000")


def test_a_stop_of_a_pair_that_triggers_ends_the_other_and_sells(traders: Pair) -> None:
    alice, bob = traders
    pair = placed(alice, "oco", belowType="STOP_LOSS", belowPrice=None, belowTimeInForce=None, belowStopPrice="49000")
    assert bob.order("BUY", "0.02", "48900").json["status"] == "NEW"
    mark((alice, bob), "49000")
    assert statuses(alice, pair) == ["EXPIRED", "FILLED"]
    assert alice.seen(pair["orders"][1])["cummulativeQuoteQty"] == "489.00000000"
    bob.call("DELETE", "/v1/openOrders", symbol="BTC_USDT")
    mark(traders, "50000")


def test_a_buying_pair_holds_the_dearer_of_its_legs(traders: Pair) -> None:
    alice, _ = traders
    pair = placed(
        alice,
        "oco",
        side="BUY",
        aboveType="STOP_LOSS_LIMIT",
        aboveStopPrice="60000",
        abovePrice="61000",
        aboveTimeInForce="GTC",
        belowType="LIMIT_MAKER",
        belowPrice="40000",
        belowStopPrice=None,
        belowTimeInForce=None,
    )
    assert [one["side"] for one in pair["orderReports"]] == ["BUY", "BUY"]
    assert alice.balances()["USDT"][1] == "610.00000000"


@pytest.mark.parametrize("kind", ["oto", "opo"])
def test_the_pending_leg_starts_when_the_working_one_is_filled(traders: Pair, kind: str) -> None:
    alice, bob = traders
    both = placed(alice, kind, workingPrice="49000")
    assert alice.balances()["USDT"][1] == "490.00000000"
    assert alice.balances()["BTC"][1] == ("0.01000000" if kind == "oto" else "0.00000000")
    assert bob.order("SELL", "0.004", "49000").json["status"] == "FILLED"
    assert statuses(alice, both) == ["PARTIALLY_FILLED", "PENDING_NEW"]
    assert bob.order("SELL", "0.006", "49000").json["status"] == "FILLED"
    assert statuses(alice, both) == ["FILLED", "NEW"]
    pending = alice.seen(both["orders"][1])
    # 0.01 less 0.1 %, each fill's fee for itself, down to a step of the lot
    assert pending["origQty"] == ("0.01000000" if kind == "oto" else "0.00999000")
    assert pending["isWorking"] is True
    assert alice.call("GET", "/v1/openOrders").json[0]["orderListId"] == both["orderListId"]
    done = alice.call("DELETE", "/v1/orderList", symbol="BTC_USDT", listClientOrderId=both["listClientOrderId"]).json
    assert done["orders"] == both["orders"]
    assert [one["orderId"] for one in done["orderReports"]] == [both["orders"][1]["orderId"]]
    mark(traders, "50000")


@pytest.mark.parametrize("kind", ["otoco", "opoco"])
def test_the_pending_pair_starts_and_one_leg_ends_the_other(traders: Pair, kind: str) -> None:
    alice, bob = traders
    three = placed(alice, kind, workingPrice="49000", pendingAbovePrice="51000")
    assert bob.order("SELL", "0.01", "49000").json["status"] == "FILLED"
    assert statuses(alice, three) == ["FILLED", "NEW", "NEW"]
    assert [alice.seen(leg)["isWorking"] for leg in three["orders"][1:]] == [True, False]
    assert bob.order("BUY", "0.001", "51000").json["status"] == "FILLED"
    assert statuses(alice, three) == ["FILLED", "PARTIALLY_FILLED", "EXPIRED"]
    done = alice.call("DELETE", "/v1/orderList", symbol="BTC_USDT", orderListId=three["orderListId"]).json
    (report,) = done["orderReports"]
    assert (report["orderId"], report["status"], report["executedQty"]) == (
        *(three["orders"][1]["orderId"], "CANCELED"),
        "0.00100000",
    )
    assert done["orders"] == three["orders"]
    mark(traders, "50000")


@pytest.mark.parametrize("kind", ["oto", "opo"])
def test_an_answer_tells_what_happens_at_once(traders: Pair, kind: str) -> None:
    alice, bob = traders
    assert bob.order("SELL", "0.01", "49000").json["status"] == "NEW"
    answer = placed(alice, kind, workingPrice="49000", newOrderRespType="FULL")
    working, pending = answer["orderReports"]
    assert (working["status"], working["cummulativeQuoteQty"], len(working["fills"])) == ("FILLED", "490.00000000", 1)
    assert (pending["status"], pending["workingTime"], pending["fills"]) == ("NEW", pending["transactTime"], [])
    assert pending["origQty"] == ("0.01000000" if kind == "oto" else "0.00999000")
    assert answer["listOrderStatus"] == "EXECUTING"
    mark(traders, "50000")


def test_a_list_that_is_over_at_once_says_so(traders: Pair) -> None:
    alice, _ = traders
    answer = placed(alice, "oto", workingTimeInForce="IOC")
    assert (answer["listStatusType"], answer["listOrderStatus"]) == ("ALL_DONE", "ALL_DONE")
    assert [(one["status"], one["expiryReason"]) for one in answer["orderReports"]] == [
        ("EXPIRED", "UNFILLED_IOC_QUANTITY_EXPIRED"),
        ("EXPIRED", "OTO_PHASE_ONE_EXPIRED"),
    ]


def test_a_pending_stop_waits_twice(traders: Pair) -> None:
    alice, bob = traders
    stop = {"pendingType": "STOP_LOSS", "pendingTrailingDelta": "100", "pendingPrice": None, "pendingTimeInForce": None}
    both = placed(alice, "oto", workingPrice="49000", **stop)
    pending = both["orderReports"][1]
    assert (pending["status"], pending["trailingDelta"], pending["trailingTime"]) == ("PENDING_NEW", 100, -1)
    assert bob.order("SELL", "0.01", "49000").json["status"] == "FILLED"
    found = alice.seen(pending)
    assert (found["status"], found["isWorking"], found["workingTime"]) == ("NEW", False, -1)
    done = alice.call("DELETE", "/v1/orderList", symbol="BTC_USDT", orderListId=both["orderListId"]).json
    assert done["orderReports"][0]["trailingDelta"] == 100
    mark(traders, "50000")


def test_legs_may_hide_follow_and_end_by_a_date(traders: Pair) -> None:
    alice, _ = traders
    until = str(4_000_000_000_000)
    pair = placed(
        alice,
        "oco",
        aboveIcebergQty="0.002",
        aboveClientOrderId="upper",
        belowTimeInForce="GTD",
        belowGoodTillDate=until,
        belowTrailingDelta="50",
        selfTradePreventionMode="NONE",
    )
    above, below = pair["orderReports"]
    assert (above["icebergQty"], above["clientOrderId"]) == ("0.00200000", "upper")
    assert (below["trailingDelta"], below["timeInForce"], below["stopPrice"]) == (50, "GTD", "15000.00000000")
    assert {above["selfTradePreventionMode"], below["selfTradePreventionMode"]} == {"NONE"}
    assert alice.seen(below)["goodTillDate"] == int(until)
    peg = {"belowPegPriceType": "PRIMARY_PEG", "belowPegOffsetType": "PRICE_LEVEL", "belowPegOffsetValue": "1"}
    pegged = placed(alice, "oco", belowPrice=None, **peg)["orderReports"][1]
    assert (pegged["pegPriceType"], pegged["pegOffsetValue"]) == ("PRIMARY_PEG", 1)


def test_a_cancel_names_itself_and_any_leg_takes_the_list_along(traders: Pair) -> None:
    alice, _ = traders
    pair = placed(alice, "oco")
    form = {"symbol": "BTC_USDT", "orderListId": pair["orderListId"], "listClientOrderId": pair["listClientOrderId"]}
    done = alice.call("DELETE", "/v1/orderList", **form, newClientOrderId="enough").json
    assert [one["clientOrderId"] for one in done["orderReports"]] == ["enough", "enough"]
    assert [one["origClientOrderId"] for one in done["orderReports"]] == [
        leg["clientOrderId"] for leg in pair["orders"]
    ]
    pair = placed(alice, "oco")
    canceled = alice.call("DELETE", "/v1/order", symbol="BTC_USDT", orderId=pair["orders"][1]["orderId"]).json
    assert canceled["orderListId"] == pair["orderListId"]
    assert statuses(alice, pair) == ["CANCELED", "CANCELED"]


@pytest.mark.parametrize(("face", "symbol"), [("/v1", "BTC_USDT"), ("/api/v3", "BTCUSDT")])
def test_cancel_of_all_tells_lists_as_lists_between_the_orders(traders: Pair, face: str, symbol: str) -> None:
    alice, bob = traders
    before = alice.order("BUY", "0.01", "30000").json
    three = placed(alice, "otoco")
    both = placed(alice, "oto", workingPrice="49000")
    assert bob.order("SELL", "0.01", "49000").json["status"] == "FILLED"  # the first leg, which is so not canceled
    after = alice.order("BUY", "0.01", "30000").json
    told = alice.call("DELETE", f"{face}/openOrders", symbol=symbol).json
    assert [one.get("orderId") for one in told] == [before["orderId"], None, None, after["orderId"]]
    assert [one["orderListId"] for one in told] == [-1, three["orderListId"], both["orderListId"], -1]
    for one, lived in zip(told[1:3], (three, both), strict=True):
        assert list(one) == HEAD
        assert (one["listStatusType"], one["listOrderStatus"]) == ("ALL_DONE", "ALL_DONE")
        assert one["listClientOrderId"] == lived["listClientOrderId"]
        names = [(leg["orderId"], leg["clientOrderId"]) for leg in lived["orders"]]
        assert [(leg["orderId"], leg["clientOrderId"]) for leg in one["orders"]] == names
        reports = one["orderReports"]
        assert [(row["orderId"], row["origClientOrderId"]) for row in reports] == names[-len(reports) :]
        assert {(row["status"], row["orderListId"]) for row in reports} == {("CANCELED", one["orderListId"])}
    assert [len(one["orderReports"]) for one in told[1:3]] == [3, 1]
    assert alice.call("GET", "/v1/openOrders").json == []
    mark(traders, "50000")


@pytest.mark.parametrize("kind", FORMS)
def test_every_leg_counts_as_an_unfilled_order(exchange: Exchange, traders: Pair, kind: str) -> None:
    alice, _ = traders

    def counted() -> int:
        return int(alice.call("GET", "/v1/rateLimit/order").json[1]["count"])

    before = counted()
    answer = send(alice, kind)
    assert answer.status == 200
    assert counted() - before == LEGS[kind]
    assert int(answer.headers["x-mbx-order-count-1d"]) == before + LEGS[kind]


def test_exchange_information_allows_lists(exchange: Exchange) -> None:
    for path in ("/v1/exchangeInfo", "/api/v3/exchangeInfo"):
        for symbol in exchange.trader("alice").public(path).json["symbols"]:
            assert (symbol["ocoAllowed"], symbol["otoAllowed"], symbol["opoAllowed"]) == (True, True, True)
