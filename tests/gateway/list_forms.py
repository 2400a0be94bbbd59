"""A form of each kind of order list that a venue without trades takes, but for its symbol."""

from __future__ import annotations

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
"""By the last part of the path."""
LEGS = {"oco": 2, "oto": 2, "otoco": 3, "opo": 2, "opoco": 3}
