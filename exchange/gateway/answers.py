"""Events and order views to the JSON of the API contract.

Owns field names, their order and the writing of amounts and times. Never asks the engine anything: an answer to a
command is made of that command's events alone.
"""

from __future__ import annotations

from typing import Any

from exchange.core.codes import CommandKind, EventKind, OrderStatus, OrderType, RejectCode, Side, StpMode, TimeInForce
from exchange.core.readers import OrderView
from exchange.core.records import RECORD_BYTES
from exchange.gateway.catalogue import ACK, FULL
from exchange.gateway.errors import DUPLICATE_ORDER, NEW_ORDER_REJECTED, Refusal, refused
from exchange.gateway.placing import Placement
from exchange.gateway.symbols import Rules
from exchange.gateway.wire import KIND_AT, OrderEvent, Trade, order_event, prevented, trade

Json = dict[str, Any]


def _names(codes: Any) -> list[str]:
    return [codes(code).name if code in list(codes) else "" for code in range(max(codes) + 1)]


SIDE_NAMES = _names(Side)
TYPE_NAMES = _names(OrderType)
TIME_IN_FORCE_NAMES = _names(TimeInForce)
STP_NAMES = _names(StpMode)
STATUS_NAMES = _names(OrderStatus)
_REJECTED, _DUPLICATE = int(EventKind.REJECTED), int(EventKind.ORDER_DUPLICATE)
_CONFLICT = int(RejectCode.CLIENT_ORDER_ID_CONFLICT)
_BUY, _PARTIALLY_FILLED, _FILLED = int(Side.BUY), int(OrderStatus.PARTIALLY_FILLED), int(OrderStatus.FILLED)
_EXPIRED_IN_MATCH = int(OrderStatus.EXPIRED_IN_MATCH)
_TRADE, _PREVENTED, _CLOSED = int(EventKind.TRADE), int(EventKind.PREVENTED), int(EventKind.ORDER_CLOSED)


def _amounts(rules: Rules, order: OrderEvent | OrderView, qty_lots: int, filled_lots: int, filled_atoms: int) -> Json:
    """The fields that every answer about an order has, in the contract's order, but for names and times."""
    return {
        "price": rules.price.text(order.price_ticks),
        "origQty": rules.quantity.text(qty_lots),
        "executedQty": rules.quantity.text(filled_lots),
        "origQuoteOrderQty": rules.quote_grid.text(order.quote_atoms),
        "cummulativeQuoteQty": rules.quote_grid.text(filled_atoms),
    }


def _terms(order: OrderEvent | OrderView, status: int) -> Json:
    return {
        "status": STATUS_NAMES[status],
        "timeInForce": TIME_IN_FORCE_NAMES[order.time_in_force],
        "type": TYPE_NAMES[order.order_type],
        "side": SIDE_NAMES[order.side],
    }


def _fill(rules: Rules, fill: Trade) -> Json:
    """One fill of the taker; its fee is in the asset that it receives."""
    asset, grid = (rules.base, rules.base_grid) if fill.side == _BUY else (rules.quote, rules.quote_grid)
    return {
        "price": rules.price.text(fill.price_ticks),
        "qty": rules.quantity.text(fill.qty_lots),
        "commission": grid.text(fill.taker_fee_atoms),
        "commissionAsset": asset.name,
        "tradeId": fill.trade_id,
    }


def placed(placement: Placement, events: bytes, unit_ns: int) -> Json:
    """The answer to a PLACE, from its event slots. Raises the Refusal of a rejected one.

    A repeated placement gives the order as it stands now, `"duplicate": true`, and no `fills`; a face that does not
    answer repeats refuses it.
    """
    first = order_event(events)
    reject = first.reject if first.kind == _REJECTED else 0
    if not placement.answers_repeats and (reject == _CONFLICT or first.kind == _DUPLICATE):
        raise Refusal(400, NEW_ORDER_REJECTED, DUPLICATE_ORDER)
    if first.kind == _REJECTED:
        raise refused(reject, CommandKind.PLACE)
    rules = placement.rules
    time_units = first.ts_ns // unit_ns
    duplicate = first.kind == _DUPLICATE
    if placement.answer == ACK:
        ack: Json = {
            "symbol": rules.name,
            "orderId": first.order_id,
            "orderListId": -1,
            "clientOrderId": placement.client_id,
            "transactTime": time_units,
        }
        return ack | {"duplicate": True} if duplicate else ack
    filled_lots, filled_atoms, status = first.filled_lots, first.filled_quote_atoms, first.status
    fills: list[Json] = []
    prevented_lots = 0
    for at in range(RECORD_BYTES, len(events), RECORD_BYTES):
        kind = events[at + KIND_AT]
        if kind == _TRADE:
            fill = trade(events, at)
            filled_lots += fill.qty_lots
            filled_atoms += fill.quote_atoms
            status = _PARTIALLY_FILLED if fill.taker_leaves_lots else _FILLED
            fills.append(_fill(rules, fill))
        elif kind == _PREVENTED:
            stopped = prevented(events, at)
            prevented_lots += stopped.taker_prevented_lots
            if not stopped.taker_leaves_lots:
                status = _EXPIRED_IN_MATCH
        elif kind == _CLOSED:
            status = order_event(events, at).status
    quantity, quote = rules.quantity.text, rules.quote_grid.text
    answer: Json = {
        "symbol": rules.name,
        "orderId": first.order_id,
        "orderListId": -1,
        "clientOrderId": placement.client_id,
        "transactTime": time_units,
        "price": rules.price.text(first.price_ticks),
        "origQty": quantity(first.qty_lots),
        "executedQty": quantity(filled_lots),
        "origQuoteOrderQty": quote(first.quote_atoms),
        "cummulativeQuoteQty": quote(filled_atoms),
        "status": STATUS_NAMES[status],
        "timeInForce": TIME_IN_FORCE_NAMES[first.time_in_force],
        "type": TYPE_NAMES[first.order_type],
        "side": SIDE_NAMES[first.side],
        "workingTime": time_units,
        "selfTradePreventionMode": STP_NAMES[first.stp_mode],
    }
    if duplicate:
        answer["duplicate"] = True
    if prevented_lots:
        answer["preventedQuantity"] = rules.quantity.text(prevented_lots)
    if placement.answer == FULL and not duplicate:
        answer["fills"] = fills
    return answer


_AMENDED_NAMES = {"origQty": "qty", "origQuoteOrderQty": "quoteOrderQty", "cummulativeQuoteQty": "cumulativeQuoteQty"}
"""Binance calls three fields differently in the answer to an amendment, and nowhere else."""


def _canceled_or_reduced(rules: Rules, event: OrderEvent, qty_lots: int, names: Json, unit_ns: int) -> Json:
    answer: Json = {"symbol": rules.name, **names, "transactTime": event.ts_ns // unit_ns}
    answer |= _amounts(rules, event, qty_lots, event.filled_lots, event.filled_quote_atoms)
    answer |= _terms(event, event.status)
    answer["selfTradePreventionMode"] = STP_NAMES[event.stp_mode]
    return answer


def client_id_text(event: OrderEvent) -> str:
    """The client id of an event without its padding."""
    return event.client_id.rstrip(b"\0").decode("ascii")


def cancel_id_of(order_id: int) -> str:
    """The client id of a cancel that was sent without one. An order is canceled once, so its account has it once."""
    return f"cancel-{order_id}"


def canceled(rules: Rules, event: OrderEvent, cancel_client_id: str, unit_ns: int) -> Json:
    """The answer to a cancel of one order, from its ORDER_CLOSED; `cancel_client_id` may be empty."""
    names = {
        "origClientOrderId": client_id_text(event),
        "orderId": event.order_id,
        "orderListId": -1,
        "clientOrderId": cancel_client_id or cancel_id_of(event.order_id),
    }
    return _canceled_or_reduced(rules, event, event.filled_lots + event.qty_lots, names, unit_ns)


def reduced(rules: Rules, event: OrderEvent, qty_lots: int, unit_ns: int) -> Json:
    """The answer to an amendment that keeps priority, from its ORDER_REDUCED and the new total quantity."""
    name = client_id_text(event)
    names = {"orderId": event.order_id, "orderListId": -1, "origClientOrderId": name, "clientOrderId": name}
    order = _canceled_or_reduced(rules, event, qty_lots, names, unit_ns)
    order = {_AMENDED_NAMES.get(field, field): value for field, value in order.items()}
    del order["transactTime"]
    order["workingTime"] = event.ts_ns // unit_ns
    return {"transactTime": event.ts_ns // unit_ns, "executionId": event.sequence, "amendedOrder": order}


def order(rules: Rules, view: OrderView, unit_ns: int) -> Json:
    """An order as queries show it, open or closed.

    `origQty` is the quantity as it stands (an amendment makes it smaller), but for an order that self-trade prevention
    ended: there it is the quantity as submitted.
    """
    qty_lots = view.qty_lots
    if view.status == OrderStatus.EXPIRED_IN_MATCH:
        qty_lots = max(qty_lots, view.submitted_lots)
    answer: Json = {
        "symbol": rules.name,
        "orderId": view.order_id,
        "orderListId": -1,
        "clientOrderId": view.client_id,
    }
    answer |= _amounts(rules, view, qty_lots, view.filled_lots, view.filled_quote_atoms)
    answer |= _terms(view, view.status)
    answer |= {
        "time": view.created_ts_ns // unit_ns,
        "updateTime": view.updated_ts_ns // unit_ns,
        "isWorking": True,
        "workingTime": view.created_ts_ns // unit_ns,
        "selfTradePreventionMode": STP_NAMES[view.stp_mode],
    }
    if view.expire_ts_ns:
        answer["goodTillDate"] = view.expire_ts_ns // unit_ns
    return answer
