"""Order lists over REST: whatever is wrong with one is said, and nothing of it is placed."""

from __future__ import annotations

import pytest

from tests.gateway.list_forms import FORMS, mark, placed, refusal, send, statuses
from tests.gateway.running import Trader

Pair = tuple[Trader, Trader]
SYMBOLS = {"/v1": "BTC_USDT", "/api/v3": "BTCUSDT"}


@pytest.fixture(autouse=True)
def last_price(traders: Pair) -> None:
    """The last trade was at 50000."""
    mark(traders, "50000")


def test_a_list_that_is_not_there_can_not_be_canceled(traders: Pair) -> None:
    alice, bob = traders
    pair = placed(alice, "oco", listClientOrderId="mine")
    unknown = (400, -2011, "Unknown order list sent.")
    listed = pair["orderListId"]
    for trader, form in (
        (alice, {"orderListId": 999_999}),
        (alice, {"listClientOrderId": "nobodys"}),
        (alice, {"orderListId": listed, "listClientOrderId": "other"}),
        (alice, {"symbol": "ETH_USDT", "orderListId": listed}),
        (bob, {"orderListId": listed}),
        (bob, {"listClientOrderId": "mine"}),
    ):
        assert refusal(trader.call("DELETE", "/v1/orderList", **{"symbol": "BTC_USDT", **form})) == unknown
    assert refusal(alice.call("DELETE", "/v1/orderList", symbol="BTC_USDT")) == (
        *(400, -1102),
        "Param 'orderListId' or 'listClientOrderId' must be sent, but both were empty/null!",
    )
    assert statuses(alice, pair) == ["NEW", "NEW"]


@pytest.mark.parametrize(("face", "status"), [("/v1", 409), ("/api/v3", 400)])
def test_a_client_id_that_is_taken_is_refused(traders: Pair, face: str, status: int) -> None:
    alice, _ = traders
    symbol = SYMBOLS[face]
    form = {"symbol": symbol, **FORMS["oco"]}
    path = f"{face}/orderList/oco"
    leg = f"leg{status}"
    first = alice.call("POST", path, **form, listClientOrderId="once", aboveClientOrderId=leg).json
    again = alice.call("POST", path, **form, listClientOrderId="once")
    assert refusal(again) == (status, -2010, "Duplicate order list sent.")
    for more in ({"belowClientOrderId": leg}, {"aboveClientOrderId": "same", "belowClientOrderId": "same"}):
        assert refusal(alice.call("POST", path, **form, **more)) == (status, -2010, "Duplicate order sent.")
    assert len(alice.call("GET", f"{face}/openOrders").json) == 2
    assert alice.call("DELETE", f"{face}/orderList", symbol=symbol, orderListId=first["orderListId"]).status == 200
    assert alice.call("POST", path, **form, listClientOrderId="once").status == 200


BUY = {
    "side": "BUY",
    "aboveType": "STOP_LOSS",
    "aboveStopPrice": "60000",
    "abovePrice": None,
    "belowType": "LIMIT_MAKER",
    "belowPrice": "40000",
    "belowStopPrice": None,
    "belowTimeInForce": None,
}
MAKER_BELOW = {"belowType": "LIMIT_MAKER", "belowStopPrice": None, "belowTimeInForce": None}
STOP_ABOVE = {"aboveType": "STOP_LOSS", "aboveStopPrice": "60000", "abovePrice": None}
NO_BALANCE = "Account has insufficient balance for requested action."
NOT_CORRECT = "The relationship of the prices for the orders is not correct."


@pytest.mark.parametrize(
    ("kind", "changes", "code", "msg"),
    [
        ("oco", {"aboveType": "LIMIT"}, -1158, "Order type not supported in OCO."),
        ("otoco", {"pendingBelowType": "MARKET"}, -1158, "Order type not supported in OCO."),
        ("oco", MAKER_BELOW, -1168, "At least one OCO order must be contingent."),
        (
            "oco",
            {**BUY, "aboveType": "LIMIT_MAKER", "belowType": "STOP_LOSS"},
            -1165,
            "A limit order in a buy OCO must",
        ),
        ("oco", {**MAKER_BELOW, "aboveType": "TAKE_PROFIT"}, -1166, "A limit order in a sell OCO must be above."),
        ("oco", {**BUY, "belowType": "STOP_LOSS"}, -1196, "A stop loss order in a buy OCO must be above."),
        ("oco", STOP_ABOVE, -1197, "A stop loss order in a sell OCO must be below."),
        ("oco", {**BUY, "aboveType": "TAKE_PROFIT"}, -1198, "A take profit order in a buy OCO must be below."),
        ("oco", {"belowType": "TAKE_PROFIT"}, -1199, "A take profit order in a sell OCO must be above."),
        ("otoco", {"pendingBelowType": "TAKE_PROFIT_LIMIT"}, -1199, "A take profit order in a sell OCO must be above."),
        ("oco", {"abovePrice": "15000"}, -2010, NOT_CORRECT),
        ("opoco", {"pendingAbovePrice": "14999"}, -2010, NOT_CORRECT),
        ("oto", {"workingType": "STOP_LOSS"}, -1116, "Invalid workingType."),
        ("oto", {"pendingType": "NOPE"}, -1116, "Invalid pendingType."),
        ("otoco", {"pendingSide": "BOTH"}, -1117, "Invalid pendingSide."),
        ("opo", {"workingSide": "SELL"}, -1222, "Working order in an OPO list must be a bid."),
        ("opoco", {"pendingSide": "BUY"}, -1223, "Pending orders in an OPO list must be asks."),
        ("oco", {"belowTimeInForce": "NOPE"}, -1115, "Invalid belowTimeInForce."),
        (
            "oco",
            {"quantity": None},
            -1102,
            "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.",
        ),
        ("oco", {"belowPrice": None}, -1102, "Mandatory parameter 'belowPrice' was not sent"),
        ("oco", {"belowTimeInForce": None}, -1102, "Mandatory parameter 'belowTimeInForce' was not sent"),
        ("otoco", {"pendingBelowType": None}, -1102, "Mandatory parameter 'pendingBelowType' was not sent"),
        ("oco", {"belowStopPrice": None}, -1102, "Param 'belowStopPrice' or 'belowTrailingDelta' must be sent"),
        ("oto", {"workingStopPrice": "1"}, -1106, "Parameter 'workingStopPrice' sent when not required."),
        ("oto", {"workingStrategyId": "1"}, -1106, "Parameter 'workingStrategyId' sent when not required."),
        ("opo", {"pendingIcebergQty": "0.001"}, -1106, "Parameter 'pendingIcebergQty' sent when not required."),
        ("opo", {"pendingQuantity": "0.01"}, -1103, "An unknown parameter was sent: 'pendingQuantity'."),
        ("oco", {"aboveTimeInForce": "GTC"}, -1106, "Parameter 'aboveTimeInForce' sent when not required."),
        (
            "oco",
            {"belowIcebergQty": "0.001", "belowTimeInForce": "IOC"},
            -1160,
            "Parameter 'belowIcebergQty' is not supported if 'belowTimeInForce' is not GTC or GTD.",
        ),
        ("oco", {"abovePrice": "x"}, -1100, "Illegal characters found in parameter 'abovePrice'"),
        ("oco", {"belowStopPrice": "0.0000000001"}, -1111, "Parameter 'belowStopPrice' has too much precision."),
        ("oto", {"workingPrice": "0"}, -1013, "Filter failure: PRICE_FILTER"),
        ("oto", {"pendingQuantity": "0.00001"}, -1013, "Filter failure: NOTIONAL"),
        ("oto", {"listClientOrderId": "a b"}, -1100, "Illegal characters found in parameter 'listClientOrderId'"),
        ("oco", {"belowStopPrice": "50001", "belowPrice": "50000"}, -2010, "Order would trigger immediately."),
        ("oco", {"quantity": "101"}, -2010, NO_BALANCE),
        (
            "oto",
            {"workingSide": "SELL", "workingQuantity": "60", "pendingQuantity": "60"},
            -2010,
            "Account has insufficient balance",
        ),
        ("oto", {"symbol": "NO_SUCH"}, -1121, "Invalid symbol."),
    ],
)
def test_what_is_wrong_with_a_list_is_said_and_nothing_is_placed(
    traders: Pair, kind: str, changes: dict[str, str | None], code: int, msg: str
) -> None:
    alice, _ = traders
    before = alice.balances()
    answer = send(alice, kind, **changes)
    assert refusal(answer)[:2] == (400, code), answer.json
    assert answer.json["msg"].startswith(msg)
    assert alice.call("GET", "/v1/openOrders").json == []
    assert alice.balances() == before


def test_a_maker_that_would_take_takes_the_list_along(traders: Pair) -> None:
    alice, bob = traders
    assert bob.order("BUY", "0.01", "49000").json["status"] == "NEW"
    answer = send(alice, "oco", abovePrice="49000")
    assert refusal(answer) == (400, -2010, "Order would immediately match and take.")
    assert alice.call("GET", "/v1/openOrders").json == []
