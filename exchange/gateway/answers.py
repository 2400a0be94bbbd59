"""Events and order views to the JSON of the API contract.

Owns field names, their order and the writing of amounts and times. Never asks the engine anything: an answer to a
command is made of that command's events, and of nothing in them but what is about the order asked for: in one command
others may have their turn.
"""

from __future__ import annotations

from typing import Any

from exchange.core.codes import (
    CloseReason,
    CommandKind,
    EventKind,
    ListRole,
    OrderStatus,
    OrderType,
    PegType,
    RejectCode,
    Side,
    Stage,
    StpMode,
    TimeInForce,
)
from exchange.core.readers import OrderView
from exchange.core.records import RECORD_BYTES
from exchange.gateway.catalogue import ACK, FULL, PRICE_LEVEL
from exchange.gateway.errors import DUPLICATE_ORDER, NEW_ORDER_REJECTED, Refusal, refused
from exchange.gateway.order_forms import STOPS
from exchange.gateway.placing import Placement, Terms
from exchange.gateway.symbols import Rules
from exchange.gateway.wire import KIND_AT, ListEvent, OrderEvent, order_event, prevented, trade

Json = dict[str, Any]
PLAIN = Terms()


def _names(codes: Any) -> list[str]:
    return [codes(code).name if code in list(codes) else "" for code in range(max(codes) + 1)]


SIDE_NAMES = _names(Side)
TYPE_NAMES = _names(OrderType)
TIME_IN_FORCE_NAMES = _names(TimeInForce)
STP_NAMES = _names(StpMode)
STATUS_NAMES = _names(OrderStatus)
PEG_NAMES = _names(PegType)
EXPIRY_REASONS = {
    CloseReason.IOC_REMAINDER: "UNFILLED_IOC_QUANTITY_EXPIRED",
    CloseReason.FOK_UNFILLABLE: "UNFILLED_FOK_ORDER_EXPIRED",
    CloseReason.NO_LIQUIDITY: "INSUFFICIENT_LIQUIDITY",
    CloseReason.GTD_EXPIRED: "GOOD_TILL_DATE_REACHED",
    CloseReason.PRICE_RANGE: "EXECUTION_RULE_PRICE_RANGE_EXCEEDED",
}
"""Binance's words, but for GTD; every other reason has its own name, or is that of a list."""
_REJECTED, _DUPLICATE = int(EventKind.REJECTED), int(EventKind.ORDER_DUPLICATE)
_CONFLICT = int(RejectCode.CLIENT_ORDER_ID_CONFLICT)
_BUY, _PARTIALLY_FILLED, _FILLED = int(Side.BUY), int(OrderStatus.PARTIALLY_FILLED), int(OrderStatus.FILLED)
_EXPIRED, _EXPIRED_IN_MATCH = int(OrderStatus.EXPIRED), int(OrderStatus.EXPIRED_IN_MATCH)
_TRADE, _PREVENTED, _CLOSED = int(EventKind.TRADE), int(EventKind.PREVENTED), int(EventKind.ORDER_CLOSED)
_ENTERED = int(EventKind.ORDER_ENTERED)
_PAIR = frozenset(map(int, (ListRole.ABOVE, ListRole.BELOW)))
_LATER_ROLES = _PAIR | {int(ListRole.PENDING)}
_BOOK, _WAITING = int(Stage.BOOK), frozenset(map(int, (Stage.STOP, Stage.PENDING)))
NO_LIST = -1
NOT_YET = -1
"""Where a time is asked for of something that has not happened."""


def expiry_reason(reason: int, list_role: int) -> str:
    """Why an order expired. A leg ends with its list's other leg, or because the first leg was not filled."""
    if reason == CloseReason.LIST:
        return "OCO_TRIGGER" if list_role in _PAIR else "OTO_PHASE_ONE_EXPIRED"
    why = CloseReason(reason)
    return EXPIRY_REASONS.get(why, why.name)


def _amounts(
    rules: Rules, price_ticks: int, quote_atoms: int, qty_lots: int, filled_lots: int, filled_atoms: int
) -> Json:
    """The fields that every answer about an order has, in the contract's order, but for names and times."""
    return {
        "price": rules.price.text(price_ticks),
        "origQty": rules.quantity.text(qty_lots),
        "executedQty": rules.quantity.text(filled_lots),
        "origQuoteOrderQty": rules.quote_grid.text(quote_atoms),
        "cummulativeQuoteQty": rules.quote_grid.text(filled_atoms),
    }


def _terms(order: OrderEvent | OrderView, status: int) -> Json:
    return {
        "status": STATUS_NAMES[status],
        "timeInForce": TIME_IN_FORCE_NAMES[order.time_in_force],
        "type": TYPE_NAMES[order.order_type],
        "side": SIDE_NAMES[order.side],
    }


def _special(rules: Rules, terms: Terms | OrderView, price_ticks: int, trailing_time: int | None) -> Json:
    """What an answer says of an order beyond a plain one; `price_ticks` is a pegged order's, zero: none yet."""
    answer: Json = {}
    if terms.stop_price_ticks:
        answer["stopPrice"] = rules.price.text(terms.stop_price_ticks)
    if terms.trailing_bips:
        answer["trailingDelta"] = terms.trailing_bips
        if trailing_time is not None:
            answer["trailingTime"] = trailing_time
    if terms.iceberg_lots:
        answer["icebergQty"] = rules.quantity.text(terms.iceberg_lots)
    if terms.peg_type:
        answer["pegPriceType"] = PEG_NAMES[terms.peg_type]
        if terms.peg_offset_levels:
            answer |= {"pegOffsetType": PRICE_LEVEL, "pegOffsetValue": terms.peg_offset_levels}
        if price_ticks:
            answer["peggedPrice"] = rules.price.text(price_ticks)
    return answer


class _Course:
    """What became of one order within the events of its PLACE, as taker and, when others had their turn, as maker."""

    __slots__ = (
        "filled_atoms",
        "filled_lots",
        "fills",
        "order_id",
        "prevented_lots",
        "price_ticks",
        "qty_lots",
        "reason",
        "rules",
        "status",
        "waits",
    )

    def __init__(self, rules: Rules, first: OrderEvent) -> None:
        self.rules = rules
        self.order_id = first.order_id
        self.price_ticks = first.price_ticks
        self.filled_lots = first.filled_lots
        self.filled_atoms = first.filled_quote_atoms
        self.status = first.status
        self.reason = 0
        self.prevented_lots = 0
        self.qty_lots = first.qty_lots
        self.waits = (first.order_type in STOPS) + (first.status == OrderStatus.PENDING_NEW)
        """How often it enters before it works: one that waits for its list, and then for a price, twice."""
        self.fills: list[Json] = []

    def follow(self, events: bytes) -> None:
        """Take the events after the first one."""
        for at in range(RECORD_BYTES, len(events), RECORD_BYTES):
            kind = events[at + KIND_AT]
            if kind == _TRADE:
                self._trade(events, at)
            elif kind == _PREVENTED:
                self._prevented(events, at)
            elif kind in (_CLOSED, _ENTERED):
                event = order_event(events, at)
                if event.order_id == self.order_id:
                    self._moved(event)

    def _moved(self, event: OrderEvent) -> None:
        """It closed or entered. One that sells what another one bought has a quantity from then on."""
        self.status = event.status
        if not self.qty_lots and not event.quote_atoms:
            self.qty_lots = event.qty_lots
        if event.kind == _CLOSED:
            self.reason = event.reason
        else:
            self.waits, self.price_ticks = self.waits - 1, event.price_ticks

    def _trade(self, events: bytes, at: int) -> None:
        fill = trade(events, at)
        if fill.taker_order_id == self.order_id:
            leaves_lots, fee_atoms, is_buyer = fill.taker_leaves_lots, fill.taker_fee_atoms, fill.side == _BUY
        elif fill.maker_order_id == self.order_id:
            leaves_lots, fee_atoms, is_buyer = fill.maker_leaves_lots, fill.maker_fee_atoms, fill.side != _BUY
        else:
            return
        rules = self.rules
        self.filled_lots += fill.qty_lots
        self.filled_atoms += fill.quote_atoms
        self.status = _PARTIALLY_FILLED if leaves_lots else _FILLED
        asset, grid = (rules.base, rules.base_grid) if is_buyer else (rules.quote, rules.quote_grid)
        self.fills.append(
            {
                "price": rules.price.text(fill.price_ticks),
                "qty": rules.quantity.text(fill.qty_lots),
                "commission": grid.text(fee_atoms),
                "commissionAsset": asset.name,
                "tradeId": fill.trade_id,
            }
        )

    def _prevented(self, events: bytes, at: int) -> None:
        stopped = prevented(events, at)
        if stopped.taker_order_id == self.order_id:
            taken_lots, leaves_lots = stopped.taker_prevented_lots, stopped.taker_leaves_lots
        elif stopped.maker_order_id == self.order_id:
            taken_lots, leaves_lots = stopped.maker_prevented_lots, stopped.maker_leaves_lots
        else:
            return
        self.prevented_lots += taken_lots
        if not leaves_lots:
            self.status = _EXPIRED_IN_MATCH


def placed(placement: Placement, events: bytes, unit_ns: int) -> Json:
    """The answer to a placement, from its event slots. Raises the Refusal of a rejected one.

    A repeated placement gives the order as it stands now, `"duplicate": true`, and no `fills`; a face that does not
    answer repeats refuses it.
    """
    first = order_event(events)
    reject = first.reject if first.kind == _REJECTED else 0
    if not placement.answers_repeats and (reject == _CONFLICT or first.kind == _DUPLICATE):
        raise Refusal(400, NEW_ORDER_REJECTED, DUPLICATE_ORDER)
    if first.kind == _REJECTED:
        raise refused(reject, CommandKind.PLACE)
    return report(placement, first, events, unit_ns)


def report(
    placement: Placement,
    first: OrderEvent,
    events: bytes,
    unit_ns: int,
    list_id: int = NO_LIST,
    list_role: int = ListRole.NONE,
) -> Json:
    """What became of an order within the events of its command, `first` (ORDER_ACCEPTED, or ORDER_DUPLICATE) on."""
    rules, terms = placement.rules, placement.terms
    time_units = first.ts_ns // unit_ns
    duplicate = first.kind == _DUPLICATE
    answer: Json = {
        "symbol": rules.name,
        "orderId": first.order_id,
        "orderListId": list_id,
        "clientOrderId": placement.client_id,
        "transactTime": time_units,
    }
    if placement.answer == ACK:
        return answer | {"duplicate": True} if duplicate else answer
    course = _Course(rules, first)
    course.follow(events)
    price_ticks = 0 if terms.peg_type else course.price_ticks
    answer |= _amounts(rules, price_ticks, first.quote_atoms, course.qty_lots, course.filled_lots, course.filled_atoms)
    answer |= _terms(first, course.status)
    if terms != PLAIN:
        waits_for_list = course.waits > (first.order_type in STOPS)
        not_yet = terms.stop_price_ticks or waits_for_list
        answer |= _special(rules, terms, course.price_ticks, NOT_YET if not_yet else None if duplicate else time_units)
    if not (duplicate and course.waits):
        answer["workingTime"] = NOT_YET if course.waits else time_units
    answer["selfTradePreventionMode"] = STP_NAMES[first.stp_mode]
    if duplicate:
        answer["duplicate"] = True
    if course.prevented_lots:
        answer["preventedQuantity"] = rules.quantity.text(course.prevented_lots)
    if course.status == _EXPIRED and course.reason:
        answer["expiryReason"] = expiry_reason(course.reason, list_role)
    if placement.answer == FULL and not duplicate:
        answer["fills"] = course.fills
    return answer


_AMENDED_NAMES = {"origQty": "qty", "origQuoteOrderQty": "quoteOrderQty", "cummulativeQuoteQty": "cumulativeQuoteQty"}
"""Binance calls three fields differently in the answer to an amendment, and nowhere else."""


def _canceled_or_reduced(
    rules: Rules, event: OrderEvent, view: OrderView | None, qty_lots: int, names: Json, unit_ns: int
) -> Json:
    """`view`: of a special order, as the engine tells it after the event."""
    answer: Json = {"symbol": rules.name, **names, "transactTime": event.ts_ns // unit_ns}
    price_ticks = 0 if view is not None and view.peg_type else event.price_ticks
    answer |= _amounts(rules, price_ticks, event.quote_atoms, qty_lots, event.filled_lots, event.filled_quote_atoms)
    answer |= _terms(event, event.status)
    if view is not None:
        answer["orderListId"] = view.list_id or NO_LIST
        answer |= _special(rules, view, event.price_ticks, _trailing_time(view, unit_ns))
    answer["selfTradePreventionMode"] = STP_NAMES[event.stp_mode]
    return answer


def _trailing_time(view: OrderView, unit_ns: int) -> int | None:
    """When a trailing stop began to follow the price; None where nobody remembers."""
    if view.stage in _WAITING:
        return NOT_YET
    return None if view.stop_price_ticks or view.list_id else view.created_ts_ns // unit_ns


def client_id_text(event: OrderEvent | ListEvent) -> str:
    """The client id of an event without its padding."""
    return event.client_id.rstrip(b"\0").decode("ascii")


def cancel_id_of(order_id: int) -> str:
    """The client id of a cancel that was sent without one. An order is canceled once, so its account has it once."""
    return f"cancel-{order_id}"


def canceled(
    rules: Rules, event: OrderEvent, cancel_client_id: str, unit_ns: int, view: OrderView | None = None
) -> Json:
    """The answer to a cancel of one order, from its ORDER_CLOSED; `cancel_client_id` may be empty.

    `view`: of a special order, what the engine still tells of it.
    """
    names = {
        "origClientOrderId": client_id_text(event),
        "orderId": event.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": cancel_client_id or cancel_id_of(event.order_id),
    }
    return _canceled_or_reduced(rules, event, view, event.filled_lots + event.qty_lots, names, unit_ns)


def reduced(rules: Rules, event: OrderEvent, qty_lots: int, unit_ns: int, view: OrderView | None = None) -> Json:
    """The answer to an amendment that keeps priority, from its ORDER_REDUCED and the new total quantity."""
    name = client_id_text(event)
    names = {"orderId": event.order_id, "orderListId": NO_LIST, "origClientOrderId": name, "clientOrderId": name}
    order = _canceled_or_reduced(rules, event, view, qty_lots, names, unit_ns)
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
        "orderListId": view.list_id or NO_LIST,
        "clientOrderId": view.client_id,
    }
    price_ticks = 0 if view.peg_type else view.price_ticks
    answer |= _amounts(rules, price_ticks, view.quote_atoms, qty_lots, view.filled_lots, view.filled_quote_atoms)
    answer |= _terms(view, view.status)
    answer |= {
        "stopPrice": rules.price.text(view.stop_price_ticks),
        "icebergQty": rules.quantity.text(view.iceberg_lots),
        "time": view.created_ts_ns // unit_ns,
        "updateTime": view.updated_ts_ns // unit_ns,
        "isWorking": view.stage == _BOOK,
        "workingTime": _working_time(view, unit_ns),
        "selfTradePreventionMode": STP_NAMES[view.stp_mode],
    }
    if view.trailing_bips or view.peg_type:
        answer |= _special(rules, view, view.price_ticks, _trailing_time(view, unit_ns))
    if view.expire_ts_ns:
        answer["goodTillDate"] = view.expire_ts_ns // unit_ns
    return answer


def _working_time(view: OrderView, unit_ns: int) -> int:
    """When an order went to the book, -1 of one that has not; of an order that waited and has closed, nobody knows."""
    if view.working_ts_ns:
        return view.working_ts_ns // unit_ns
    waited = view.order_type in STOPS or view.list_role in _LATER_ROLES
    return NOT_YET if waited or view.stage != _BOOK else view.created_ts_ns // unit_ns
