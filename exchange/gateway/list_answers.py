"""Order lists in the JSON of the API contract: what a list is called, how far it is, and which legs it has.

Owns the words for kinds and stages of lists. Never knows what a leg looks like: that is `exchange/gateway/answers.py`.
"""

from __future__ import annotations

from collections.abc import Iterable

from exchange.core.codes import ListType
from exchange.gateway.answers import Json
from exchange.gateway.symbols import Rules

CONTINGENCIES = {int(kind): "OCO" if kind == ListType.OCO else "OTO" for kind in ListType}
"""Binance knows two: the legs of a pair, and one that waits for another."""
STARTED, DONE = ("EXEC_STARTED", "EXECUTING"), ("ALL_DONE", "ALL_DONE")
"""(listStatusType, listOrderStatus) of a list with an open leg, and of one without."""


def list_head(
    rules: Rules,
    list_id: int,
    list_type: int,
    client_id: str,
    time_units: int,
    legs: Iterable[tuple[int, str]],
    *,
    is_done: bool,
) -> Json:
    """The fields that every answer about a list begins with. `legs`: (order id, client id) of each, in order."""
    status_type, order_status = DONE if is_done else STARTED
    return {
        "orderListId": list_id,
        "contingencyType": CONTINGENCIES[list_type],
        "listStatusType": status_type,
        "listOrderStatus": order_status,
        "listClientOrderId": client_id,
        "transactionTime": time_units,
        "symbol": rules.name,
        "orders": [{"symbol": rules.name, "orderId": order_id, "clientOrderId": name} for order_id, name in legs],
    }
