"""Order lists for tests: a form of each kind that a venue without trades takes, and traders who send them."""

from __future__ import annotations

from typing import Any

from tests.gateway.running import Answer, Trader

Pair = tuple[Trader, Trader]
Json = dict[str, Any]

_WORKING = {"workingType": "LIMIT", "workingSide": "BUY", "workingTimeInForce": "GTC"}
_WORKING |= {"workingPrice": "20000", "workingQuantity": "0.01"}
_PAIR = {
    "pendingSide": "SELL",
    "pendingAboveType": "LIMIT_MAKER",
    "pendingAbovePrice": "80000",
    "pendingBelowType": "STOP_LOSS",
    "pendingBelowStopPrice": "15000",
}
FORMS: dict[str, dict[str, str]] = {
    "oco": {
        "side": "SELL",
        "quantity": "0.01",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": "80000",
        "belowType": "STOP_LOSS_LIMIT",
        "belowStopPrice": "15000",
        "belowPrice": "14900",
        "belowTimeInForce": "GTC",
    },
    "oto": {
        **_WORKING,
        "pendingType": "LIMIT",
        "pendingSide": "SELL",
        "pendingTimeInForce": "GTC",
        "pendingPrice": "80000",
        "pendingQuantity": "0.01",
    },
    "otoco": {**_WORKING, **_PAIR, "pendingQuantity": "0.01"},
    "opo": {
        **_WORKING,
        "pendingType": "LIMIT",
        "pendingSide": "SELL",
        "pendingTimeInForce": "GTC",
        "pendingPrice": "80000",
    },
    "opoco": {**_WORKING, **_PAIR},
}
"""By the last part of the path, but for the symbol."""
LEGS = {"oco": 2, "oto": 2, "otoco": 3, "opo": 2, "opoco": 3}


def mark(traders: Pair, price: str) -> None:
    """The last price is this: a small trade, when nothing else stands in its way."""
    alice, bob = traders
    assert alice.order("SELL", "0.001", price).json["status"] == "NEW"
    assert bob.order("BUY", "0.001", price).json["status"] == "FILLED"


def send(trader: Trader, kind: str, **changes: str | None) -> Answer:
    """A list of a kind on BTC_USDT; None leaves a parameter out."""
    form = {"symbol": "BTC_USDT", **FORMS[kind], **changes}
    return trader.call("POST", f"/v1/orderList/{kind}", **{name: text for name, text in form.items() if text})


def placed(trader: Trader, kind: str, **changes: str | None) -> Json:
    """A list that was accepted."""
    answer = send(trader, kind, **changes)
    assert answer.status == 200, answer.json
    body: Json = answer.json
    return body


def statuses(trader: Trader, answer: Json) -> list[str]:
    """How far the legs of a list are."""
    return [trader.seen(leg)["status"] for leg in answer["orders"]]


def refusal(answer: Answer) -> tuple[int, int, str]:
    """(status, code, msg) of an answer that promises to have had no effect."""
    assert answer.json["outcome"] == "rejected"
    return answer.status, answer.json["code"], answer.json["msg"]
