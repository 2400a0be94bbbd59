"""The answer to a PLACE is written as text; here it is held equal, to the byte, to a dictionary that orjson writes."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from exchange.core.codes import EventKind, OrderStatus, OrderType, Side, StpMode, TimeInForce
from exchange.core.readers import AssetView, SymbolView
from exchange.gateway import answers, wire
from exchange.gateway.placing import Placement
from exchange.gateway.symbols import Rules

BASE, QUOTE = AssetView(1, "BTC", 8), AssetView(2, "USDT", 8)
SYMBOL = SymbolView(1, "BTC_USDT", 1, 1, 2, 2, 5, *([1] * 14))
RULES = Rules("BTCUSDT", SYMBOL, BASE, QUOTE)
ORDERS = 1_000


def _decimal(units: int, scale: int) -> str:
    return f"{units // 10**scale}.{units % 10**scale:0{scale}d}".ljust(len(str(units // 10**scale)) + 9, "0")


class _Order:
    """A random placement: its events as the engine writes them, and the dictionary that answers it."""

    def __init__(self, drawn: random.Random) -> None:
        self.client_id = "".join(drawn.choices("aZ09-_", k=drawn.randrange(1, 37)))
        self.kind = drawn.choice((EventKind.ORDER_ACCEPTED, EventKind.ORDER_DUPLICATE))
        self.side, self.status = drawn.choice(list(Side)), drawn.choice(list(OrderStatus))
        self.type, self.time_in_force = drawn.choice(list(OrderType)), drawn.choice(list(TimeInForce))
        self.stp_mode = drawn.choice(list(StpMode))
        self.ts_ns, self.order_id = drawn.randrange(1 << 62), drawn.randrange(1, 1 << 62)
        self.ticks, self.lots, self.quote, self.filled, self.filled_quote = (drawn.randrange(1 << 40) for _ in range(5))
        self.prevented = 0
        self.fills: list[dict[str, Any]] = []
        self.events = wire.ORDER_EVENT.pack(
            7, self.ts_ns, self.kind, 0, 0, 0, self.side, self.type, self.time_in_force, self.stp_mode, 16, 1,
            self.order_id, self.ticks, self.lots, self.quote, 0, self.filled, self.filled_quote, 1, self.status,
            self.client_id.encode(),
        )  # fmt: skip
        for _ in range(drawn.randrange(4)):
            drawn.choice((self._trade, self._prevent, self._close))(drawn)

    def _trade(self, drawn: random.Random) -> None:
        ticks, lots, atoms, fee, trade_id = (drawn.randrange(1 << 40) for _ in range(5))
        leaves = drawn.randrange(2)
        self.events += wire.TRADE.pack(
            7, self.ts_ns, EventKind.TRADE, 0, self.side, 1, 16, 17, self.order_id, 5, trade_id, ticks, lots, atoms,
            fee, 3, leaves, 0, 0,
        )  # fmt: skip
        self.filled, self.filled_quote = self.filled + lots, self.filled_quote + atoms
        self.status = OrderStatus.PARTIALLY_FILLED if leaves else OrderStatus.FILLED
        fill = {"price": _decimal(ticks, 2), "qty": _decimal(lots, 5), "commission": _decimal(fee, 8)}
        fill["commissionAsset"] = "BTC" if self.side is Side.BUY else "USDT"
        self.fills.append({**fill, "tradeId": trade_id})

    def _prevent(self, drawn: random.Random) -> None:
        lots, leaves = drawn.randrange(1, 1 << 40), drawn.randrange(2)
        self.events += wire.PREVENTED.pack(
            7, self.ts_ns, EventKind.PREVENTED, 0, self.side, self.stp_mode, 1, 16, self.order_id, 5, self.ticks, lots,
            0, 0, 0, leaves, 0,
        )  # fmt: skip
        self.prevented += lots
        if not leaves:
            self.status = OrderStatus.EXPIRED_IN_MATCH

    def _close(self, drawn: random.Random) -> None:
        self.status = drawn.choice(list(OrderStatus))
        self.events += wire.ORDER_EVENT.pack(
            7, self.ts_ns, EventKind.ORDER_CLOSED, 1, 0, 0, self.side, 1, 1, 0, 16, 1, self.order_id, 0, 0, 0, 0, 0, 0,
            1, self.status, b"",
        )  # fmt: skip

    def answer(self, kind: str, unit_ns: int) -> dict[str, Any]:
        """What is to be answered."""
        moment, is_repeat = self.ts_ns // unit_ns, self.kind is EventKind.ORDER_DUPLICATE
        repeat = {"duplicate": True} if is_repeat else {}
        ack = {"symbol": "BTCUSDT", "orderId": self.order_id, "orderListId": -1, "clientOrderId": self.client_id}
        ack["transactTime"] = moment
        if kind == "ACK":
            return ack | repeat
        result = ack | {
            "price": _decimal(self.ticks, 2),
            "origQty": _decimal(self.lots, 5),
            "executedQty": _decimal(self.filled, 5),
            "origQuoteOrderQty": _decimal(self.quote, 8),
            "cummulativeQuoteQty": _decimal(self.filled_quote, 8),
            "status": self.status.name,
            "timeInForce": self.time_in_force.name,
            "type": self.type.name,
            "side": self.side.name,
            "workingTime": moment,
            "selfTradePreventionMode": self.stp_mode.name,
        }
        result |= repeat
        if self.prevented:
            result["preventedQuantity"] = _decimal(self.prevented, 5)
        return result | ({"fills": self.fills} if kind == "FULL" and not is_repeat else {})


@pytest.mark.parametrize("kind", ["ACK", "RESULT", "FULL"])
@pytest.mark.parametrize("unit_ns", [1_000, 1_000_000])
def test_answer_is_what_orjson_writes_of_the_same_fields(kind: str, unit_ns: int) -> None:
    drawn = random.Random(20261125)
    for _ in range(ORDERS):
        order = _Order(drawn)
        placement = Placement(b"", RULES, order.client_id, kind, answers_repeats=True)
        written = answers.placed(placement, order.events, unit_ns)
        assert written == orjson.dumps(order.answer(kind, unit_ns))
